"""The fake backend's model: hashed words, one matrix, unit vectors.

A text is cut into words at white space, each lower-cased word is hashed (CRC-32) into one of
1,024 places, and the counts, of unit length, are multiplied by a matrix ``encoder.weight``
(dimension, 1,024).
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragd_tune.backends import LoadRequest
from ragd_tune.errors import StoreError, UsageError
from ragd_tune.plan import ModelFacts, Role

PLACES = 1024
WEIGHT = "encoder.weight"
PEFT = "base_model.model.encoder"
MODEL = "model.safetensors"
ADAPTER = "adapter_model.safetensors"
_MAX_LENGTH = 256

Matrix = NDArray[np.float32]


def make_base(folder: Path, *, seed: int, dimension: int) -> Path:
    """Write random weights and their configuration into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((dimension, PLACES)).astype(np.float32) / np.float32(dimension)
    save(folder / MODEL, {WEIGHT: weight})
    config = {"model_type": "ragd-tune-fake", "hidden_size": dimension, "max_length": _MAX_LENGTH}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def save(path: Path, tensors: Mapping[str, NDArray[np.floating]]) -> None:
    """Write a safetensors file."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(one) for name, one in tensors.items()}, path)


def read(path: Path) -> dict[str, Matrix]:
    """Read a safetensors file.

    :raises StoreError: it is not there.
    """
    from safetensors.numpy import load_file

    if not path.is_file():
        raise StoreError(f"{path} is missing", mend="get the model again")
    return dict(load_file(path))


def features(texts: Sequence[str], prompt: str = "", length: int = _MAX_LENGTH) -> Matrix:
    """Return hashed word counts of unit length: float32 (n, 1,024); no words give zeros."""
    found = np.zeros((len(texts), PLACES), np.float32)
    for row, text in enumerate(texts):
        for word in (prompt + text).lower().split()[:length]:
            found[row, zlib.crc32(word.encode()) % PLACES] += 1
    return unit(found)[0]


def unit(rows: Matrix) -> tuple[Matrix, Matrix]:
    """Return rows of length 1, and the lengths that they had (n, 1); zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)
    return rows / np.maximum(lengths, np.float32(1e-12)), lengths


@dataclass(slots=True)
class FakeModel:
    """A loaded model."""

    weight: Matrix
    facts: ModelFacts
    documents: Matrix | None = None
    """The base's weight, where documents do not go through the adapter."""
    closed: bool = False

    @classmethod
    def load(cls, request: LoadRequest) -> FakeModel:
        """Load a base, a ``full`` adapter in its place, or a ``peft`` one on top."""
        weight = read(request.base.path / MODEL)[WEIGHT]
        documents = weight if request.side == "query" else None
        if request.format == "full" and request.adapter:
            weight = read(request.adapter / MODEL)[WEIGHT]
        if request.format == "peft" and request.adapter:
            weight = weight + delta(request.adapter)
        length = request.max_length or _MAX_LENGTH
        facts = request.facts or ModelFacts(
            dimension=len(weight), max_length=length, pooling="mean"
        )
        if request.objective == "relevance":
            return cls(
                weight=weight, facts=request.facts or ModelFacts(max_length=length, normalise=False)
            )
        if request.dimension and request.dimension <= len(weight):
            weight = weight[: request.dimension]
            documents = documents if documents is None else documents[: request.dimension]
            facts = ModelFacts(
                dimension=request.dimension, max_length=facts.max_length, pooling=facts.pooling,
                prompts=facts.prompts, normalise=facts.normalise,
            )  # fmt: skip
        return cls(weight=weight, facts=facts, documents=documents)

    def embed(self, texts: Sequence[str], role: Role) -> Matrix:
        """Return unit vectors, float32 (n, dimension)."""
        rows = features(texts, self.facts.prompts.get(role, ""), self.facts.max_length)
        documents = self.weight if self.documents is None else self.documents
        weight = documents if role == "document" else self.weight
        return unit(rows @ weight.T)[0]

    def export(self, format: str, out: Path) -> list[Path]:
        """Write the merged weights as a base.

        :raises UsageError: ``format`` is not ``folder``.
        """
        if format != "folder":
            raise UsageError(f"the fake backend writes no {format!r}", mend="it writes 'folder'")
        make_base(out, seed=0, dimension=len(self.weight))
        save(out / MODEL, {WEIGHT: self.weight})
        return [out / MODEL, out / "config.json"]

    def close(self) -> None:
        """Note it."""
        self.closed = True


def delta(adapter: Path) -> Matrix:
    """Return what a LoRA adapter in PEFT's layout adds: ``B @ A * alpha / rank``."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    tensors = read(adapter / ADAPTER)
    scale = np.float32(config["lora_alpha"] / config["r"])
    made: Matrix = tensors[f"{PEFT}.lora_B.weight"] @ tensors[f"{PEFT}.lora_A.weight"] * scale
    return made


def write_peft(out: Path, a: Matrix, b: Matrix, alpha: float) -> None:
    """Write LoRA matrices ``a`` (rank, 1,024) and ``b`` (dimension, rank) in PEFT's layout."""
    out.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "r": len(a),
        "lora_alpha": alpha,
        "target_modules": ["encoder"],
        "base_model_name_or_path": None,
    }
    (out / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    save(out / ADAPTER, {f"{PEFT}.lora_A.weight": a, f"{PEFT}.lora_B.weight": b})


def write_full(out: Path, base: Path, weight: Matrix) -> None:
    """Write the whole model."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(base / "config.json", out / "config.json")
    save(out / MODEL, {WEIGHT: weight})
