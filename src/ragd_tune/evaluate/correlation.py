"""Spearman's rank correlation of two lists of scores, and what each pair adds to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ragd_tune.errors import DataError

Floats = NDArray[np.float64]

SPEARMAN = "spearman"
"""The name of the metric in a report."""

FEWEST = 3
"""Pairs below which leaving one out leaves no correlation."""


def ranks(values: ArrayLike) -> Floats:
    """Return ranks from 1, equal values sharing their mean: float64 (n,)."""
    found = np.asarray(values, np.float64)
    _, place, counts = np.unique(found, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: Floats = (ends - (counts - 1) / 2)[place]
    return means


def spearman(scores: ArrayLike, wanted: ArrayLike) -> float:
    """Return Spearman's ρ: Pearson's correlation of the ranks.

    :raises DataError: the scores wanted are all the same, so that nothing can be ordered.
    """
    return float(_pearson(ranks(scores), _ordered(wanted)))


def shares(scores: ArrayLike, wanted: ArrayLike) -> Floats:
    """Return what each pair adds to ρ, float64 (n,); the mean is ρ itself.

    These are the jackknife's pseudo-values (Tukey 1958): n · ρ minus (n - 1) · ρ without the pair,
    moved by a constant so that their mean is ρ. With them, two models can be compared pair by pair
    and resampled by cluster, like any other metric.

    :raises DataError: fewer than three pairs, or scores that are all the same.
    """
    one, two = np.asarray(scores, np.float64), np.asarray(wanted, np.float64)
    count = len(one)
    if count < FEWEST:
        raise DataError(f"{count} scored pairs have no order", mend="add pairs to the split")
    mine, theirs = ranks(one), _ordered(two)
    whole = _pearson(mine, theirs)
    without = np.empty(count)
    for place in range(count):
        kept = np.arange(count) != place
        left = _pearson(_left(mine, one, place)[kept], _left(theirs, two, place)[kept])
        without[place] = left
    added: Floats = whole + (count - 1) * (without.mean() - without)
    return added


def _ordered(wanted: ArrayLike) -> Floats:
    found = np.asarray(wanted, np.float64)
    if not len(found) or found.min() == found.max():
        raise DataError(
            "all scored pairs have the same score: there is no order to find",
            mend="use pairs with different scores",
        )
    return ranks(found)


def _left(rank: Floats, values: Floats, gone: int) -> Floats:
    """Return the ranks that are left without the value at ``gone``."""
    left: Floats = rank - (values > values[gone]) - 0.5 * (values == values[gone])
    return left


def _pearson(one: Floats, two: Floats) -> float:
    """Return the correlation; 0 where one of the two is constant."""
    a, b = one - one.mean(), two - two.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0
