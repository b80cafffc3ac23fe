"""A whole language model as a folder that transformers loads: safetensors, no place, no version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ragd_tune.errors import UsageError
from ragd_tune_mlx import weights
from ragd_tune_mlx.recipe import CPU_HAS_IT, table

_TAKEN = (
    "config.json",
    "generation_config.json",
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
_VARYING: Mapping[str, tuple[str, ...]] = {
    "config.json": ("_name_or_path", "transformers_version", "auto_map"),
    "generation_config.json": ("transformers_version",),
}


def check(model: nn.Module, base: Path, name: str) -> None:
    """Refuse a model whose weights could not be written back under the base's names.

    :raises UsageError: mlx-lm renames them.
    """
    given = weights.read(base)
    for key, value in tree_flatten(model.parameters()):
        if key not in given or given[key].shape != value.shape:
            raise _renamed(name, key)


def check_layers(layers: Iterable[str], base: Path, name: str) -> None:
    """Refuse layers that other backends would not find by the names they have here.

    :raises UsageError: mlx-lm renames them.
    """
    given = weights.read(base).keys()
    for layer in layers:
        if f"{layer}.weight" not in given:
            raise _renamed(name, layer)


def _renamed(name: str, layer: str) -> UsageError:
    return UsageError(
        f"base model {name}: mlx-lm has {layer}, which its files do not: what is trained here "
        "could be loaded nowhere else",
        mend=CPU_HAS_IT,
    )


def save(model: nn.Module, base: Path, out: Path) -> list[Path]:
    """Write ``model`` under ``out`` in float32, with all else from ``base``; return the files."""
    out.mkdir(parents=True, exist_ok=True)
    for name in _TAKEN:
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)
    for name, gone in _VARYING.items():
        value = {key: item for key, item in table(out / name).items() if key not in gone}
        value |= {key: "float32" for key in ("dtype", "torch_dtype") if key in value}
        if value:
            text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
            (out / name).write_text(text + "\n", encoding="utf-8", newline="\n")
    tuned = dict(tree_flatten(model.parameters()))
    given = weights.read(base)
    made = {name: tuned.get(name, value) for name, value in given.items()}
    floats = {n: value for n, value in made.items() if mx.issubdtype(value.dtype, mx.floating)}
    weights.write(out / "model.safetensors", floats)
    return sorted(path for path in out.rglob("*") if path.is_file())
