"""Spearman's rank correlation of two lists of scores, and what each pair adds to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ragd_tune.errors import DataError
from ragd_tune.evaluate.dominance import Numbers, both_above

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
    without = _without(mine, theirs)
    added: Floats = _pearson(mine, theirs) + (count - 1) * (without.mean() - without)
    return added


def _ordered(wanted: ArrayLike) -> Floats:
    found = np.asarray(wanted, np.float64)
    if not len(found) or found.min() == found.max():
        raise DataError(
            "all scored pairs have the same score: there is no order to find",
            mend="use pairs with different scores",
        )
    return ranks(found)


def _without(one: Floats, two: Floats) -> Floats:
    """Return the correlation of the ranks that are left without each pair: float64 (n,).

    Without pair p, a rank falls by 1 if it was above p's, and by a half if it was p's equal. So the
    sum of the products that are left is that of (r - a)(s - b), whose four parts are sums over what
    is above p, in one order or in both: n log n in all, where ranking anew n times takes n².
    """
    count = len(one)
    place, other = _placed(one), _placed(two)
    product = (one @ two) - one * two
    product -= _above(one, other) - one / 2
    product -= _above(two, place) - two / 2
    product += _both(place, other)
    # The mean of n - 1 ranks is n/2, whatever the ties.
    covariance = product - (count - 1) * (count / 2) ** 2
    size = np.sqrt(_spread(place) * _spread(other))
    left: Floats = np.divide(covariance, size, out=np.zeros(count), where=size > 0)
    return left


def _placed(rank: Floats) -> Numbers:
    """Return the number of each value among the different ones, from 0: int64 (n,)."""
    return np.unique(rank, return_inverse=True)[1].astype(np.int64)


def _above(weights: Floats, place: Numbers) -> Floats:
    """Return the sum of the weights above each value, and half of its own and its equals'."""
    sums = np.bincount(place, weights)
    above: Floats = (sums.sum() - np.cumsum(sums) + sums / 2)[place]
    return above


def _both(one: Numbers, two: Numbers) -> Floats:
    """Return Σ a·b over all other pairs, where a is 1 above each value and a half beside it.

    a is the mean of "above" and "above or beside", so a·b is that of four counts; the pair itself
    is beside itself on both sides, and counts a quarter.
    """
    limits = [(one - i, two - j) for i in (0, 1) for j in (0, 1)]
    counts = sum(both_above(one, two, first, second) for first, second in limits)
    both: Floats = np.asarray(counts, np.float64) / 4 - 0.25
    return both


def _spread(place: Numbers) -> Floats:
    """Return Σ(r - mean)² of the ranks that are left without each value: float64 (n,).

    It is (m³ - m)/12 less (t³ - t)/12 for each run of t equal values (Kendall 1945).
    """
    sizes = np.bincount(place).astype(np.float64)
    ties, left = (sizes**3 - sizes) / 12, sizes - 1
    shorter = ties.sum() - ties + (left**3 - left) / 12
    rest = float(len(place) - 1)
    spread: Floats = ((rest**3 - rest) / 12 - shorter)[place]
    return spread


def _pearson(one: Floats, two: Floats) -> float:
    """Return the correlation; 0 where one of the two is constant."""
    a, b = one - one.mean(), two - two.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0
