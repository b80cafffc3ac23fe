"""The fake backend's reranker: a steep sigmoid of the cosine of a query and a passage.

It has no head: the score is sigmoid(8 · cos - 4), and what is trained is the matrix of the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ragd_tune.objectives import Row
from ragd_tune.testing.fake_math import through_unit
from ragd_tune.testing.fake_model import Matrix, features, unit

STEEP, SHIFT = np.float32(8.0), np.float32(4.0)


def scores(matrix: Matrix, query: str, passages: Sequence[str], length: int) -> NDArray[np.float32]:
    """Return scores between 0 and 1, float32 (passages,)."""
    asked = unit(features([query], length=length) @ matrix.T)[0]
    found = unit(features(passages, length=length) @ matrix.T)[0]
    made: NDArray[np.float32] = _sigmoid(STEEP * (found @ asked[0]) - SHIFT).astype(np.float32)
    return made


def loss(
    matrix: Matrix, rows: Sequence[Row], length: int, *, listwise: bool
) -> tuple[float, Matrix]:
    """Return the loss of a batch (see the option ``loss``) and its gradient by ``matrix``."""
    passages = [cast("list[str]", row["passages"]) for row in rows]
    queries = [str(row["query"]) for row, own in zip(rows, passages, strict=True) for _ in own]
    asked = features(queries, length=length)
    found = features([text for own in passages for text in own], length=length)
    q, q_norm = unit(asked @ matrix.T)
    p, p_norm = unit(found @ matrix.T)
    z = STEEP * (q * p).sum(axis=1) - SHIFT
    value, by_z = _listwise(z, rows) if listwise else _bce(z, rows)
    by_cosine = (by_z * STEEP)[:, None].astype(np.float32)
    by_q = through_unit(by_cosine * p, q, q_norm)
    by_p = through_unit(by_cosine * q, p, p_norm)
    return value, by_q.T @ asked + by_p.T @ found


def _sigmoid(z: NDArray[np.floating]) -> NDArray[np.floating]:
    made: NDArray[np.floating] = 1.0 / (1.0 + np.exp(-z))
    return made


def _bce(z: Matrix, rows: Sequence[Row]) -> tuple[float, Matrix]:
    labels = np.concatenate([np.asarray(row["labels"], np.float32) for row in rows])
    each = labels * np.logaddexp(0, -z) + (1 - labels) * np.logaddexp(0, z)
    by_z: Matrix = ((_sigmoid(z) - labels) / len(z)).astype(np.float32)
    return float(each.mean()), by_z


def _listwise(z: Matrix, rows: Sequence[Row]) -> tuple[float, Matrix]:
    ends = np.cumsum([len(cast("list[str]", row["passages"])) for row in rows])[:-1]
    total, parts = 0.0, []
    for own, row in zip(np.split(z, ends), rows, strict=True):
        target, chances = _target(row), _softmax(own)
        total -= float((target * np.log(np.maximum(chances, 1e-30))).sum())
        parts.append((chances * target.sum() - target) / len(rows))
    return total / len(rows), np.concatenate(parts).astype(np.float32)


def _target(row: Row) -> Matrix:
    if row.get("teacher_scores"):
        return _softmax(np.asarray(row["teacher_scores"], np.float32))
    labels = np.asarray(row["labels"], np.float32)
    return labels / np.float32(max(float(labels.sum()), 1e-12))


def _softmax(z: Matrix) -> Matrix:
    raised = np.exp(z - z.max())
    made: Matrix = (raised / raised.sum()).astype(np.float32)
    return made
