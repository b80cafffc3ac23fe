"""A whole model as a folder that sentence-transformers loads: safetensors, no place, no version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from ragd_tune.models.folder import modules
from ragd_tune.plan import ModelFacts
from ragd_tune_mlx import recipe, weights
from ragd_tune_mlx.embedder import ENCODER, Embedder, encoder_name
from ragd_tune_mlx.recipe import Recipe

_VARYING: Mapping[str, tuple[str, ...]] = {
    "config.json": ("_name_or_path", "transformers_version", "auto_map"),
    "config_sentence_transformers.json": ("__version__",),
    "tokenizer_config.json": ("name_or_path", "tokenizer_file", "local_files_only", "is_local"),
}
"""What differs between machines and library versions though the model is the same."""
_CLASSES = "sentence_transformers.models."


def write(model: Embedder, out: Path, made_from: Recipe, facts: ModelFacts) -> list[Path]:
    """Write ``model`` under ``out`` and return the files, sorted.

    Everything but the weights comes from the base's folder. The folder normalises by itself where
    ``facts`` say so, and knows the prompts by the names ``query`` and ``document``.
    """
    base = made_from.folder
    for part in modules(base):
        for name in part.files:
            target = out / part.place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base / part.place / name, target)
    _weights(model, out, made_from)
    _settings(out, base, facts)
    for path in sorted(out.rglob("*.json")):
        if path.name in _VARYING:
            kept = recipe.table(path)
            _put(path, {key: kept[key] for key in kept if key not in _VARYING[path.name]})
    return sorted(path for path in out.rglob("*") if path.is_file())


def _weights(model: Embedder, out: Path, made_from: Recipe) -> None:
    tuned = dict(tree_flatten(model.parameters()))
    whole = weights.read(made_from.folder)
    root = {name: tuned.get(ENCODER + encoder_name(name), value) for name, value in whole.items()}
    floats = {
        name: value for name, value in root.items() if mx.issubdtype(value.dtype, mx.floating)
    }
    weights.write(out / "model.safetensors", floats)
    for number, head in enumerate(made_from.dense):
        place = f"dense.{number}."
        own = {n.removeprefix(place): v for n, v in tuned.items() if n.startswith(place)}
        weights.write(out / head.place / "model.safetensors", own)
    config = recipe.table(out / "config.json")
    for key in {"dtype", "torch_dtype"} & config.keys():
        config[key] = "float32"
    _put(out / "config.json", config)


def _settings(out: Path, base: Path, facts: ModelFacts) -> None:
    """Write modules, length and prompts."""
    listed: list[dict[str, Any]] = _modules(base, facts)
    if facts.normalise and not any(one["type"].endswith("Normalize") for one in listed):
        listed.append(_module(len(listed), "Normalize"))
    for one in listed:
        (out / one["path"]).mkdir(parents=True, exist_ok=True)
    pooling = next(one for one in listed if one["type"].endswith("Pooling"))
    place = out / pooling["path"] / "config.json"
    if not place.is_file():
        size = {"word_embedding_dimension": recipe.table(out / "config.json")["hidden_size"]}
        _put(place, {**size, "pooling_mode_mean_tokens": facts.pooling == "mean"})
    _put(out / "modules.json", listed)
    own = recipe.table(base / "sentence_bert_config.json")
    _put(out / "sentence_bert_config.json", {**own, "max_seq_length": facts.max_length})
    settings = recipe.table(base / "config_sentence_transformers.json")
    if facts.prompts:
        settings["prompts"] = {"query": "", "document": "", **settings.get("prompts", {})}
        settings["prompts"] |= facts.prompts
    _put(out / "config_sentence_transformers.json", settings)


def _modules(base: Path, facts: ModelFacts) -> list[dict[str, Any]]:
    if (base / "modules.json").is_file():
        listed: list[dict[str, Any]] = json.loads((base / "modules.json").read_bytes())
        return listed
    return [_module(number, name) for number, name in enumerate(("Transformer", "Pooling"))]


def _module(number: int, name: str) -> dict[str, Any]:
    path = f"{number}_{name}" if number else ""
    return {"idx": number, "name": str(number), "path": path, "type": _CLASSES + name}


def _put(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
