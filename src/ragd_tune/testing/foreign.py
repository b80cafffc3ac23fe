"""Adapters that somebody else could have made, and bases that have them in their weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.errors import RefusedAdapterError
from ragd_tune.interchange import peft, tensors
from ragd_tune.interchange.lora import Lora, Part
from ragd_tune.plan import BaseModel
from ragd_tune.testing.bench import Run


def numbered(run: Run) -> list[tuple[int, tuple[str, Part]]]:
    """Return what ``run`` wrote by layer, each with a number."""
    return list(enumerate(sorted(read(run).parts.items())))


def read(run: Run) -> Lora:
    """Return what ``run`` wrote; an adapter with whole layers of its own does not cross."""
    told = json.loads((run.plan.out / peft.CONFIG).read_text(encoding="utf-8"))
    if told.get("modules_to_save"):
        with pytest.raises(RefusedAdapterError, match="modules_to_save"):
            peft.read(run.plan.out)
        pytest.skip(f"its adapters hold whole layers ({told['modules_to_save']}): they stay here")
    return peft.read(run.plan.out)


_KEPT = object()


def drawn(run: Run, *, magnitudes: Any = _KEPT) -> Lora:
    """Return an adapter on the layers of ``run`` with a rank and a scale for each.

    :param magnitudes: the base's weights, to draw DoRA's magnitudes for; None leaves them out.
    """
    parts = {
        name: drawn_part(part, 1 + number % 4, 1.0 / (1 + number % 3), number)
        for number, (name, part) in numbered(run)
    }
    if magnitudes is _KEPT:
        return Lora(parts=parts)
    given = magnitudes or {}
    return Lora(
        parts={
            name: replace(part, magnitude=_magnitude(given, name) if given else None)
            for name, part in parts.items()
        }
    )


def _magnitude(weights: Mapping[str, Any], name: str) -> Any:
    """Return other lengths of the rows of a layer than those that they have."""
    lengths = np.linalg.norm(weights[f"{name}.weight"], axis=1)
    factors = 1.0 + 0.5 * np.random.default_rng(len(name)).random(len(lengths))
    return (lengths * factors).astype(np.float32)


TABLES = ("embed_tokens", "word_embeddings", "lm_head")
"""Names of embeddings of words, and of the layer that gives a language model's next token."""


def tables(weights: Mapping[str, Any]) -> dict[str, Part]:
    """Return an update of rank 3 for each of :data:`TABLES` that is among a base's weights."""
    made: dict[str, Part] = {}
    for name in sorted(key.removesuffix(".weight") for key in weights):
        kind = name.rpartition(".")[2]
        if kind in TABLES:
            rows, columns = weights[f"{name}.weight"].shape
            table = kind != "lm_head"
            outputs, inputs = (columns, rows) if table else (rows, columns)
            like = Part(
                a=np.zeros((1, inputs), np.float32),
                b=np.zeros((outputs, 1), np.float32),
                scale=1.0,
                embedding=table,
            )
            made[name] = drawn_part(like, 3, 0.5, len(made))
    return made


def merged(
    run: Run, parts: Mapping[str, Part], weights: Mapping[str, Any], folder: Path
) -> BaseModel:
    """Write the base of ``run`` with an adapter in its weights, as :class:`Part` says."""
    base = run.plan.base
    home = Path(shutil.copytree(base.path, folder))
    made = dict(weights)
    for name, part in parts.items():
        key = f"{name}.weight"
        whole = made[key].T if part.embedding else made[key]
        whole = whole + part.scale * (part.b @ part.a)
        if part.magnitude is not None:
            rows = np.linalg.norm(whole, axis=1, keepdims=True)
            whole = part.magnitude.reshape(-1, 1) * whole / rows
        made[key] = np.ascontiguousarray(whole.T if part.embedding else whole, dtype=np.float32)
    tensors.write(home / "model.safetensors", made)
    return replace(base, name="merged", path=home, fingerprint=fingerprint_of(made))


def fingerprint_of(weights: Mapping[str, Any]) -> str:
    """Return a fingerprint for a base that was changed: bases are shared by it."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(np.ascontiguousarray(weights[name]).tobytes())
    return found.hexdigest()


def drawn_part(like: Part, rank: int, scale: float, seed: int) -> Part:
    """Return an update of the size of ``like``; a magnitude stays as it was trained."""
    draw = np.random.default_rng(seed)
    shapes = (rank, like.a.shape[1]), (like.b.shape[0], rank)
    a, b = (draw.normal(size=shape, scale=0.2).astype(np.float32) for shape in shapes)
    return Part(a=a, b=b, scale=scale, magnitude=like.magnitude, embedding=like.embedding)


def written(run: Run, adapter: Lora, folder: Path) -> Path:
    """Write ``adapter`` with all else that ``run`` wrote, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in run.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    told = peft.read(folder)
    peft.write(replace(adapter, task=told.task, base_name=told.base_name), folder)
    return folder


def edit(folder: Path, **values: Any) -> None:
    """Change the configuration of the adapter in ``folder``."""
    path = folder / peft.CONFIG
    raw: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**raw, **values}), encoding="utf-8")


def extra(folder: Path) -> None:
    """Put a tensor into the adapter that no layer of LoRA has."""
    kept = tensors.read(folder / peft.WEIGHTS)
    name = "base_model.model.classifier.modules_to_save.weight"
    tensors.write(folder / peft.WEIGHTS, kept | {name: np.ones((2, 2), np.float32)})


def fewer(folder: Path) -> None:
    """Take a tensor out of the adapter."""
    kept = tensors.read(folder / peft.WEIGHTS)
    tensors.write(folder / peft.WEIGHTS, {name: kept[name] for name in sorted(kept)[1:]})
