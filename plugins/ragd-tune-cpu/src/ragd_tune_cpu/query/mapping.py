"""The tuning ``map``: a query's vector times one matrix, the encoder as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from ragd_tune.errors import TuneError

FILE = "map.safetensors"
TENSOR = "map"


class Mapping(torch.nn.Module):
    """The map x → x + Cx. Weight decay pulls C to 0, and so the map to doing nothing.

    Put at the end of a model it maps what the model makes.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.change = torch.nn.Parameter(torch.zeros((dimension, dimension)))
        self.on = True

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        """Map ``sentence_embedding``."""
        vectors: Tensor = features["sentence_embedding"]
        if not self.on:
            return features
        return {**features, "sentence_embedding": vectors + vectors @ self.change.T}

    @contextlib.contextmanager
    def off(self) -> Iterator[None]:
        """Be the identity for a while."""
        self.on = False
        try:
            yield
        finally:
            self.on = True

    def save(self, out: Path, *, blend: float = 1.0) -> None:
        """Write the whole matrix, 1 + blend · C, as float32 (dimension, dimension)."""
        out.mkdir(parents=True, exist_ok=True)
        change = self.change.detach().float().cpu().numpy() * np.float32(blend)
        save_file({TENSOR: change + np.eye(len(change), dtype=np.float32)}, out / FILE)


def load(folder: Path, dimension: int) -> NDArray[np.float32]:
    """Return the matrix in ``folder``: a query's vector is to be multiplied by it from the left.

    :raises TuneError: there is none, or it is of another size.
    """
    path = folder / FILE
    try:
        found = load_file(path)[TENSOR]
    except (OSError, SafetensorError, KeyError) as error:
        raise TuneError(f"{path}: holds no tensor {TENSOR!r}", mend="train it again") from error
    if found.shape != (dimension, dimension):
        raise TuneError(
            f"{path}: a map of {found.shape} fits no vectors of {dimension} dimensions",
            mend="look at its base",
        )
    return np.asarray(found, np.float32)
