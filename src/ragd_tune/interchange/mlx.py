"""mlx-lm's format: ``adapter_config.json`` and ``adapters.safetensors``.

MLX has one rank and one scale for all layers, and its matrices are PEFT's transposed. Smaller ranks
are filled with zeros, and a layer's own scale goes into its second matrix: the update is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragd_tune.errors import RefusedAdapterError, TuneError
from ragd_tune.interchange import tensors
from ragd_tune.interchange.lora import Lora, Part
from ragd_tune.interchange.peft import note_of, quantised

if TYPE_CHECKING:
    from ragd_tune.interchange.lora import Matrix

CONFIG = "adapter_config.json"
WEIGHTS = "adapters.safetensors"
ALL_LAYERS = -1

_IN_LAYER = re.compile(r".*?\b(?:layers|layer)\.\d+\.(.+)")
_TABLES = ("embed_tokens", "wte", "word_embeddings", "tok_embeddings")
"""Ends of the names of embeddings: their matrices look like those of a linear layer."""


def write(adapter: Lora, folder: Path) -> list[Path]:
    """Write ``adapter`` into ``folder`` and return the files: equal adapters give equal bytes.

    :raises RefusedAdapterError: it has whole layers, which the format has no place for.
    """
    if adapter.whole:
        raise RefusedAdapterError(
            f"{min(adapter.whole)} was trained whole, which mlx-lm cannot hold"
        )
    rank = max(part.rank for part in adapter.parts.values())
    scales = sorted(part.scale for part in adapter.parts.values())
    scale = max(dict.fromkeys(scales), key=scales.count)
    made: dict[str, Matrix] = {}
    for layer, part in adapter.parts.items():
        own = 1.0 if part.scale == scale else part.scale / scale
        wider = ((0, 0), (0, rank - part.rank))
        made[f"{layer}.lora_a"] = np.pad(part.a.T, wider)
        made[f"{layer}.lora_b"] = np.pad(part.b * np.float32(own), wider).T
        if part.magnitude is not None:
            made[f"{layer}.m"] = part.magnitude.reshape(-1)
    tensors.write(folder / WEIGHTS, made, format_="mlx", notes=note_of(adapter))
    config: dict[str, object] = {
        "fine_tune_type": "dora" if adapter.dora else "lora",
        "model": adapter.base_name,
        "num_layers": ALL_LAYERS,
        "lora_parameters": {
            "rank": rank,
            "scale": scale,
            "dropout": adapter.dropout,
            "keys": sorted({_key(layer) for layer in adapter.parts}),
        },
    }
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8", newline="\n")
    return [folder / CONFIG, folder / WEIGHTS]


def _key(layer: str) -> str:
    """Return what mlx-lm calls a layer: its name within a block, else its whole name."""
    found = _IN_LAYER.fullmatch(layer)
    return found[1] if found else layer


def read(folder: Path) -> Lora:
    """Read the adapter in ``folder``.

    :raises TuneError: a file is missing or damaged.
    :raises RefusedAdapterError: it holds something that does not cross; names it.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise TuneError(f"{folder}: is no adapter of mlx-lm: {name} is missing")
    config = _config(folder / CONFIG)
    kind = config.get("fine_tune_type", "lora")
    if kind not in {"lora", "dora"}:
        raise RefusedAdapterError(
            f"{folder}: is a tuning of all weights ({kind}), and no adapter",
            mend="use the whole model that mlx_lm.fuse makes",
        )
    told = config.get("lora_parameters")
    if not isinstance(told, dict) or not isinstance(told.get("scale"), (int, float)):
        raise TuneError(f"{folder / CONFIG}: has no lora_parameters with a scale")
    layers: dict[str, dict[str, Matrix]] = {}
    for name, value in tensors.read(folder / WEIGHTS).items():
        layer, _, leaf = name.rpartition(".")
        if leaf not in {"lora_a", "lora_b", "m"}:
            raise RefusedAdapterError(f"{folder}: {name} is no LoRA matrix, and would be lost")
        if value.ndim > 2:
            raise RefusedAdapterError(
                f"{folder}: holds experts of a mixture ({name}), which do not cross"
            )
        layers.setdefault(layer, {})[leaf] = value
    return Lora(
        parts={n: _part(folder, n, found, float(told["scale"])) for n, found in layers.items()},
        dropout=float(told.get("dropout") or 0.0),
        base_name=str(config.get("model") or ""),
        quantised=quantised(folder / WEIGHTS),
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TuneError(f"{path}: is not JSON: {error}", mend="fetch it again") from error
    if not isinstance(value, dict):
        raise TuneError(f"{path}: is not a JSON object", mend="fetch it again")
    return value


def _part(folder: Path, layer: str, found: Mapping[str, Matrix], scale: float) -> Part:
    if "lora_a" not in found or "lora_b" not in found:
        raise TuneError(f"{folder}: {layer} lacks a matrix", mend="fetch it again")
    return Part(
        a=np.ascontiguousarray(found["lora_a"].T),
        b=np.ascontiguousarray(found["lora_b"].T),
        scale=scale,
        magnitude=found.get("m"),
        embedding=layer.endswith(_TABLES),
    )
