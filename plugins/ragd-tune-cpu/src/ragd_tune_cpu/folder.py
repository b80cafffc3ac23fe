"""A whole model as a folder that sentence-transformers loads: safetensors, no place, no version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.base import BaseModel as Network
from sentence_transformers.sentence_transformer.modules import Normalize

from ragd_tune.errors import TuneError
from ragd_tune.plan import ModelFacts
from ragd_tune_cpu.base import transformer
from ragd_tune_cpu.session import quiet

_VARYING: Mapping[str, tuple[str, ...]] = {
    "config.json": ("_name_or_path", "transformers_version", "auto_map"),
    "config_sentence_transformers.json": ("__version__",),
    "tokenizer_config.json": ("name_or_path", "tokenizer_file", "local_files_only", "is_local"),
}
"""What differs between machines and library versions though the model is the same."""


def save(model: Network, out: Path, facts: ModelFacts) -> list[Path]:
    """Write ``model`` under ``out`` and return the files, sorted.

    Equal models give equal bytes. The folder normalises by itself where ``facts`` say so, and
    knows the prompts by the names ``query`` and ``document``.
    """
    has_one = any(isinstance(module, Normalize) for module in model)
    if facts.normalise and not has_one:
        model.append(Normalize())
    if facts.prompts:
        model.prompts = {"query": "", "document": "", **model.prompts, **facts.prompts}
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    if tokenizer is not None:  # else the file tells how the last batch happened to be padded
        tokenizer.no_padding()
        tokenizer.no_truncation()
    with quiet():
        model.save_pretrained(str(out), create_model_card=False, safe_serialization=True)
    for path in sorted(out.rglob("*.json")):
        _scrub(path)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    unsafe = [p.name for p in files if p.suffix in {".bin", ".pt", ".pkl", ".pickle", ".py"}]
    if unsafe:
        raise TuneError(f"{out}: {unsafe[0]} would have to be unpickled or run: not kept")
    return files


def _scrub(path: Path) -> None:
    gone = _VARYING.get(path.name)
    if gone is None:
        return
    value = json.loads(path.read_text(encoding="utf-8"))
    for key in gone:
        value.pop(key, None)
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def cut(model: SentenceTransformer, length: int) -> int:
    """Limit texts to ``length`` tokens, or to what the model can; return the limit."""
    limit = model.max_seq_length
    found = min(length, int(limit)) if limit else length
    if transformer(model) is not None:
        model.max_seq_length = found
    return found
