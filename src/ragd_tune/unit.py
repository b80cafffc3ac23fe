"""Vectors of length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOTHING = np.float32(1e-12)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of ``vectors`` (n, width), float32, divided by their lengths; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: NDArray[np.float32] = (vectors / np.maximum(lengths, NOTHING)).astype(np.float32)
    return made
