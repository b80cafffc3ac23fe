"""Paired differences by cluster: an interval and a randomisation p that agree with each other.

Queries about one document rise and fall together, so whole clusters are drawn, never queries. The
estimate is the mean over queries, Σ S_c / Σ n_c for clusters of n_c queries whose differences sum
to S_c. Two things are computed from seeded draws:

1. *Cluster bootstrap* (percentile): C clusters are drawn with replacement, 10,000 times.
2. *Randomisation*: under the null hypothesis a cluster's differences might as well have the other
   sign. Its p is (b + 1) / (r + 1), two-sided. Turned into an interval, it is the range of the
   means of random halves of the clusters (Hartigan 1969, "Using subsample values as typical
   values"): exact for symmetric differences with any number and sizes of clusters.

The interval that is reported is the bootstrap's, **widened to randomisation's**, because the
bootstrap alone is too narrow exactly where a user's test set lives: few clusters, unequal ones,
or most differences 0. It lies clear of 0 only when p < 0.05 too. ``benchmarks/gate_calibration.py``
measures that; its figures are below :data:`ENOUGH`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 10_000
ENOUGH = 20.0
"""Clusters (effective: unequal sizes count for less) below which nothing can pass the gate.

`python benchmarks/gate_calibration.py`, % of cases whose interval lies above 0. Nothing is
better in all rows but the last, so 2.5 is ideal there:

=================================================  ==========  ====  ===========  ====
                                                   percentile  BCa   bootstrap-t  ours
=================================================  ==========  ====  ===========  ====
sign flips by cluster, mean of 27 shapes           3.4         4.6   3.9          2.1
the same, the worst shape                          5.6         10.1  8.8          2.9
rare large losses, 20 equal clusters               6.0         5.4   3.9          4.9
rare large losses, 20 uneven (refused: 13)         7.2         6.1   3.3          5.4
rare large losses, 50 equal clusters               3.4         2.8   2.1          3.1
rare large losses, 300 equal clusters              3.6         3.4   3.4          3.5
a true gain of 0.04, 50 uneven clusters            48.8        48.8  45.4         44.8
=================================================  ==========  ====  ===========  ====

Sign flips are no reason for a limit: the randomisation half is exact. Skew is: where few large
losses hide behind many small gains, 20 clusters may hold none of the losses.
"""

_CELLS = 2_000_000  # draws × clusters held at once: about 16 MB each of indices and of counts
_ZERO = 1e-12  # sums of differences that cancel leave about 1e-16


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A paired difference, candidate minus incumbent.

    ``low`` and ``high`` are the 95% interval of ``mean``, ``p`` is two-sided. ``wins``, ``losses``
    and ``ties`` count queries. ``effective_clusters`` is (Σ n_c)² / Σ n_c²: the number of equal
    clusters that would weigh as much (Kish). ``enough`` says whether these can prove anything;
    ``reason`` says why not.
    """

    mean: float
    low: float
    high: float
    p: float
    queries: int
    clusters: int
    effective_clusters: float
    wins: int
    losses: int
    ties: int
    enough: bool
    reason: str = ""

    @property
    def proven(self) -> bool:
        """Whether there are enough clusters and the whole interval lies above 0."""
        return self.enough and self.low > 0


def paired(
    differences: ArrayLike, clusters: ArrayLike, *, seed: int, resamples: int = RESAMPLES
) -> Comparison:
    """Compare by differences (n,), one a query, and cluster numbers (n,).

    The same input and seed give the same result. 10,000 resamples of 3,000 clusters take about
    0.2 s of CPU, and 65 MB however many clusters there are (up to 2 million).

    :raises ValueError: shapes that do not fit, no queries, NaN or infinity, resamples below 100.
    """
    column = np.asarray(differences, np.float64)
    if column.ndim != 1:
        raise ValueError(f"differences have shape {column.shape}; (queries,) is needed")
    return paired_columns(column[:, None], clusters, seed=seed, resamples=resamples)[0]


def paired_columns(
    differences: ArrayLike, clusters: ArrayLike, *, seed: int, resamples: int = RESAMPLES
) -> tuple[Comparison, ...]:
    """Compare every column of differences (n, m) with the same draws; see :func:`paired`.

    Many metrics and dimensions cost little more than one.
    """
    matrix, labels = _checked(differences, clusters, resamples)
    sizes = np.bincount(labels).astype(np.float64)
    sums = np.zeros((len(sizes), matrix.shape[1]))
    np.add.at(sums, labels, matrix)
    rng = np.random.default_rng(seed)
    boot = _bootstrap(sums, sizes, resamples, rng)
    halves, p = _randomise(sums, sizes, resamples, rng)
    low = np.minimum(
        _quantile(boot, sums, sizes, low=True), _quantile(halves, sums, sizes, low=True)
    )
    high = np.maximum(
        _quantile(boot, sums, sizes, low=False), _quantile(halves, sums, sizes, low=False)
    )
    return tuple(
        _comparison(matrix[:, j], sizes, float(low[j]), float(high[j]), float(p[j]))
        for j in range(matrix.shape[1])
    )


def effective_clusters(sizes: ArrayLike) -> float:
    """Return (Σ n)² / Σ n² of the clusters' sizes: how many equal ones weigh as much (Kish)."""
    found = np.asarray(sizes, np.float64)
    return float(found.sum() ** 2 / (found**2).sum()) if len(found) else 0.0


def _comparison(column: Floats, sizes: Floats, low: float, high: float, p: float) -> Comparison:
    mean = float(column.mean())
    mean = mean if abs(mean) >= _ZERO else 0.0
    effective = effective_clusters(sizes)
    wins, losses = int((column > _ZERO).sum()), int((column < -_ZERO).sum())
    reason = ""
    if effective < ENOUGH:
        reason = (
            f"the queries fall into {len(sizes)} independent group{'s' * (len(sizes) > 1)}, which"
            f" weigh as much as {effective:.1f} equal ones; at least {ENOUGH:.0f} are needed"
        )
    return Comparison(
        mean=mean,
        low=min(low, mean),  # where all clusters agree, rounding can put the mean outside
        high=max(high, mean),
        p=p,
        queries=len(column),
        clusters=len(sizes),
        effective_clusters=effective,
        wins=wins,
        losses=losses,
        ties=len(column) - wins - losses,
        enough=not reason,
        reason=reason,
    )


def _checked(
    differences: ArrayLike, clusters: ArrayLike, resamples: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Return differences (n, m) and cluster numbers 0…C-1 (n,)."""
    matrix = np.asarray(differences, np.float64)
    labels = np.asarray(clusters)
    if matrix.ndim != 2 or labels.shape != matrix.shape[:1] or not len(matrix):
        raise ValueError(f"differences {matrix.shape} and clusters {labels.shape} do not fit")
    if not np.isfinite(matrix).all():
        raise ValueError("differences hold NaN or infinity")
    if resamples < 100:
        raise ValueError(f"{resamples} resamples cannot carry a 95% interval; take 100 or more")
    return matrix, np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _bootstrap(sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Return means (resamples, m) of clusters drawn with replacement."""
    count = len(sizes)
    means = np.empty((resamples, sums.shape[1]))
    for rows in _blocks(resamples, count):
        drawn = rng.integers(count, size=(rows.stop - rows.start, count))
        drawn += count * np.arange(len(drawn))[:, None]
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        weights = times.astype(np.float64)
        means[rows] = (weights @ sums) / (weights @ sizes)[:, None]
    return means


def _randomise(
    sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return means (2h, m) of random halves and their complements, and p (m,).

    With T the total and x the sum over the half whose signs stay, flipping the rest gives 2x - T,
    and flipping the half gives T - 2x: each draw serves both, so that interval and p agree. An
    empty half has no mean: it is NaN.
    """
    half = resamples // 2
    total, queries = sums.sum(axis=0), sizes.sum()
    means = np.empty((2 * half, sums.shape[1]))
    beyond = np.zeros(sums.shape[1])
    for rows in _blocks(half, len(sizes)):
        kept = rng.integers(2, size=(rows.stop - rows.start, len(sizes)), dtype=np.int8)
        weights = kept.astype(np.float64)
        inside, weight = weights @ sums, (weights @ sizes)[:, None]
        beyond += (np.abs(2 * inside - total) >= np.abs(total) - _ZERO).sum(axis=0)
        with np.errstate(invalid="ignore"):
            means[rows] = np.where(weight > 0, inside, np.nan) / weight
            rest = queries - weight
            means[half + rows.start : half + rows.stop] = (
                np.where(rest > 0, total - inside, np.nan) / rest
            )
    return means, (2 * beyond + 1) / (2 * half + 1)


def _quantile(means: Floats, sums: Floats, sizes: Floats, *, low: bool) -> Floats:
    """Return the bound (m,) that at most 2.5% of the draws and the observation itself pass.

    A half that is empty counts against any bound; where that leaves none, the largest difference
    of a cluster stands in, so that bounds stay finite.
    """
    place = int((len(means) + 1) * (1 - LEVEL) / 2 + 1e-9) - 1
    signed = means if low else -means
    signed = np.where(np.isnan(signed), -np.inf, signed)
    bound = np.partition(signed, place, axis=0)[place]
    widest = np.abs(sums / sizes[:, None]).max(axis=0)
    bound = np.clip(np.where(np.abs(bound) < _ZERO, 0.0, bound), -widest, widest)
    return bound if low else 0.0 - bound


def _blocks(draws: int, clusters: int) -> Iterator[slice]:
    """Cut the draws so that draws × clusters stays bounded."""
    step = max(1, _CELLS // clusters)
    for start in range(0, draws, step):
        yield slice(start, min(start + step, draws))
