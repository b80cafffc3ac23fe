"""Where new weights start: numbers that depend on the seed and on names, on nothing else.

Frameworks draw from generators of their own. Were the start left to them, two backends could not be
compared step by step, and a model with one layer more would start differently in all its layers.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def lora_a(layer: str, *, rank: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return the first matrix of a LoRA pair, float32 (rank, width); the second starts at zero.

    Uniform in ±1/√width, as in PEFT and in Microsoft's code: Kaiming's rule (He et al. 2015,
    arXiv 1502.01852) with a = √5.

    :param layer: the full name of the layer, as in the base's weights.
    :param width: number of inputs of that layer.
    """
    drawn = _raw(f"{seed}/{layer}", rank * width).reshape(rank, width)
    # 24 bits: float32 holds each of these numbers exactly, so no rounding differs.
    unit = (drawn >> np.uint64(40)).astype(np.float64) / 2**24
    return ((2.0 * unit - 1.0) / math.sqrt(width)).astype(np.float32)


def projection(width: int, dimension: int, *, seed: int) -> NDArray[np.float32]:
    """Return a new projection, float32 (dimension, width), in a random direction.

    Its rows are orthonormal (its columns, where ``dimension`` is larger): cosines pass it nearly
    unchanged (Johnson and Lindenstrauss 1984), so that a model starts from what its base knows.
    """
    drawn = _raw(f"{seed}/projection", width * dimension) >> np.uint64(40)
    unit = drawn.astype(np.float64).reshape(max(width, dimension), min(width, dimension)) / 2**24
    made, scale = np.linalg.qr(2.0 * unit - 1.0)
    made = made * np.sign(np.diag(scale))  # LAPACK's choice of signs is not everywhere the same
    return np.ascontiguousarray(made.T if width >= dimension else made, np.float32)


def _raw(key: str, count: int) -> NDArray[np.uint64]:
    # NumPy promises the bits of a generator for ever, and what is made of them for no version.
    state = int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "little")
    drawn: NDArray[np.uint64] = np.random.Philox(key=state).random_raw(count)
    return drawn
