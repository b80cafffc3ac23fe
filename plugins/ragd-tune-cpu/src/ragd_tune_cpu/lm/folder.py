"""A whole language model as a folder that transformers loads: safetensors, no place, no version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragd_tune.backends import LoadRequest
from ragd_tune.export import WEIGHTS, modelfile, turns_of
from ragd_tune.objectives import frame_of
from ragd_tune_cpu.lm.base import config_of, context, load_tokenizer
from ragd_tune_cpu.lm.merging import merged
from ragd_tune_cpu.session import quiet

_TOKENS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
)
"""What a tokenizer is made of. It was not trained: it is taken over byte by byte."""

NUM_CTX = 4096
"""Tokens of prompt and answer in a Modelfile, at most: a longer cache takes memory for nothing."""

_VARYING = {
    "config.json": ("_name_or_path", "transformers_version", "auto_map"),
    "generation_config.json": ("transformers_version",),
}


def save(model: Any, base: Path, out: Path) -> list[Path]:
    """Write ``model`` under ``out`` with the tokenizer of ``base``; return the files, sorted."""
    out.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.save_pretrained(str(out), safe_serialization=True)
    for name in _TOKENS:
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)
    for name, gone in _VARYING.items():
        path = out / name
        if path.is_file():
            value = json.loads(path.read_text(encoding="utf-8"))
            kept = {key: item for key, item in value.items() if key not in gone}
            text = json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return sorted(path for path in out.rglob("*") if path.is_file())


def export(request: LoadRequest, out: Path, *, ollama: bool = False) -> list[Path]:
    """Write what ``request`` names under ``out`` in float32, its adapter merged; return the files.

    :param ollama: write a Modelfile, too.
    :raises UsageError: its chat template cannot be written for Ollama.
    :raises TuneError: the files do not make a model.
    """
    whole = request.format == "full" and request.adapter is not None
    folder = request.adapter if whole and request.adapter is not None else request.base.path
    adapter = request.adapter if request.format == "peft" else None
    # before the weights: what cannot be written is refused before anything is
    text = _modelfile(request, folder) if ollama else ""
    files = save(merged(folder, request.base.name, adapter), folder, out)
    if text:
        (out / "Modelfile").write_text(text, encoding="utf-8", newline="\n")
        files.append(out / "Modelfile")
    return files


def _modelfile(request: LoadRequest, folder: Path) -> str:
    facts = request.facts
    tokenizer = load_tokenizer(folder, request.base.name)
    frame = frame_of(tokenizer, facts.settings.get("chat_template") if facts else "auto")

    def render(turns: Sequence[Mapping[str, str]], open_: bool) -> str:
        return str(
            tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=open_)
        )

    turns = turns_of(render, first=tokenizer.bos_token or "") if frame.chat else None
    limit = context(config_of(folder, request.base.name), tokenizer)
    return modelfile(
        WEIGHTS,
        turns,
        stop=[tokenizer.eos_token or "", turns.end if turns else ""],
        num_ctx=min(limit, NUM_CTX),
        system=(facts.prompts.get("system", "") if facts else ""),
    )
