"""What a backend answers is checked before anyone computes with it; the error names the backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ragd_tune.backends import MultiVector
from ragd_tune.errors import PluginError
from ragd_tune.plan import ModelFacts

_UNIT = 1e-3


def check_dense(answer: object, count: int, facts: ModelFacts, backend: str) -> NDArray[np.float32]:
    """Return ``answer`` if it is float32 of shape (count, dimension), finite, and of unit length.

    Length 0 passes: a text without a known word may have the zero vector.

    :raises PluginError: it is not.
    """
    vectors = _array(answer, 2, "vectors", backend)
    if vectors.shape != (count, facts.dimension):
        _refuse(backend, f"vectors of shape {vectors.shape}, not {(count, facts.dimension)}")
    if not facts.normalise:
        _finite(vectors, "vector", backend)
        return vectors
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    off = np.abs(lengths - 1)
    if not (off <= _UNIT).all():  # what holds NaN or infinity has no such length either
        _finite(vectors, "vector", backend)
        wrong = np.flatnonzero((off > _UNIT) & (lengths > 0))
        if len(wrong):
            _refuse(
                backend,
                f"vector {wrong[0]} with length {lengths[wrong[0]]:.4f}, though the model "
                "says that its vectors have length 1",
            )
    return vectors


def check_multi(answer: MultiVector, count: int, facts: ModelFacts, backend: str) -> MultiVector:
    """Return ``answer`` if its values are finite float32 and its offsets divide them by text.

    :raises PluginError: they do not.
    """
    values = _array(answer.values, 2, "token vectors", backend)
    if values.shape[1] != facts.dimension:
        _refuse(backend, f"token vectors of {values.shape[1]} dimensions, not {facts.dimension}")
    _finite(values, "token vector", backend)
    offsets: object = answer.offsets
    if not isinstance(offsets, np.ndarray) or offsets.dtype != np.int64:
        _refuse(backend, "offsets that are not an int64 array")
    sound = offsets.shape == (count + 1,) and offsets[0] == 0 and offsets[-1] == len(values)
    if not sound or bool((np.diff(offsets) < 0).any()):
        _refuse(backend, f"offsets that do not divide {len(values)} token vectors by {count} texts")
    return answer


def check_scores(answer: object, counts: Sequence[int], backend: str) -> list[NDArray[np.float32]]:
    """Return ``answer`` if it holds one finite float32 score a passage, by request.

    :raises PluginError: it does not.
    """
    if not isinstance(answer, list) or len(answer) != len(counts):
        _refuse(backend, f"no list of {len(counts)} arrays of scores")
    for index, (one, count) in enumerate(zip(answer, counts, strict=True)):
        scores = _array(one, 1, f"scores of request {index}", backend)
        if scores.shape != (count,):
            _refuse(backend, f"{len(scores)} scores for the {count} passages of request {index}")
        _finite(scores, f"score of request {index}, passage", backend)
    return answer


def check_texts(answer: object, count: int, backend: str) -> list[str]:
    """Return ``answer`` if it is a list of ``count`` texts.

    :raises PluginError: it is not.
    """
    texts = isinstance(answer, list) and all(isinstance(one, str) for one in answer)
    if not isinstance(answer, list) or not texts or len(answer) != count:
        _refuse(backend, f"no list of {count} texts")
    return answer


def _array(answer: object, dimensions: int, what: str, backend: str) -> NDArray[np.float32]:
    if not isinstance(answer, np.ndarray):
        _refuse(backend, f"{what} as {type(answer).__name__}, not as a NumPy array")
    if answer.dtype != np.float32:
        _refuse(backend, f"{what} of dtype {answer.dtype}, not float32")
    if answer.ndim != dimensions:
        _refuse(backend, f"{what} of shape {answer.shape}; {dimensions} dimension(s) are needed")
    return answer


def _finite(array: NDArray[np.float32], what: str, backend: str) -> None:
    sound = np.isfinite(array)
    if not sound.all():
        first = np.argwhere(~sound)[0][0]
        _refuse(backend, f"{what} {first}, which holds NaN or infinity")


def _refuse(backend: str, what: str) -> NoReturn:
    raise PluginError(
        f"the backend {backend} answered {what}",
        mend=f"report it to the author of {backend}; another one is taken by --backend NAME",
    )
