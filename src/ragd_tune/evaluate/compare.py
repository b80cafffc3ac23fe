"""A/B of two systems on the same queries: scores in, a report out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragd_tune.errors import DataError, UsageError
from ragd_tune.evaluate.metrics import Scores
from ragd_tune.evaluate.report import PARTS, Beside, Cell, Counts, Judged, Moved, Part, Report
from ragd_tune.evaluate.significance import RESAMPLES, paired, paired_columns

EXAMPLES = 10

Systems = Mapping[int | None, Scores] | Mapping[int, Scores]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """Both systems by dimension, and which of their queries count."""

    before: Mapping[int | None, Scores]
    after: Mapping[int | None, Scores]
    used: _Mask

    @property
    def any(self) -> Scores:
        return next(iter(self.before.values()))


def compare(
    before: Systems | Scores,
    after: Systems | Scores,
    *,
    gate_metric: str,
    clusters: Mapping[str, str],
    known: Collection[str],
    gate_dims: int | None = None,
    exclude: Collection[str] = frozenset(),
    texts: Mapping[str, str] | None = None,
    beside: Mapping[str, Scores] | None = None,
    incumbent: str = "the incumbent",
    candidate: str = "the adapter",
    looks: int = 1,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Report:
    """Compare two systems' scores, as they are or by dimension; all must hold the same queries.

    ``clusters`` names a cluster for each query id, ``known`` are the ids whose documents training
    saw (:class:`ragd_tune.data.DataSet` tells both), ``exclude`` ids to take out: leaks, counted
    where the scores hold them. ``gate_dims`` is the largest dimension unless given. ``texts`` of
    the queries go into the lists of those that moved most. ``beside`` are other systems' scores of
    the same queries, which are told and decide nothing. Any metric that is in both is compared,
    also ones that are not of this package.

    :raises DataError: no query is left to compare.
    :raises UsageError: the gate's metric or dimension was not measured.
    :raises ValueError: the sides hold different queries or dimensions, or ``looks`` is below 1.
    """
    sides = _sides(before, after, frozenset(exclude))
    gate_dims = _gate(sides, gate_metric, gate_dims)
    if looks < 1:
        raise ValueError(f"looks is {looks}; this look counts, so it is at least 1")
    is_known = np.array([query in known for query in sides.any.query_ids], bool)
    masks = dict(
        zip(PARTS, (sides.used, sides.used & is_known, sides.used & ~is_known), strict=True)
    )
    names = [clusters[query] for query in sides.any.query_ids]
    labels = np.unique(names, return_inverse=True)[1]
    cells = [
        cell
        for part, mask in masks.items()
        if mask.any()
        for cell in _cells(sides, part, mask, labels[mask], seed, resamples)
    ]
    gained, lost = _moved(sides, gate_metric, gate_dims, texts or {})
    return Report(
        incumbent=incumbent,
        candidate=candidate,
        gate_metric=gate_metric,
        gate_dims=gate_dims,
        looks=looks,
        seed=seed,
        resamples=resamples,
        counts=_counts(sides, masks),
        cells=tuple(cells),
        gained=gained,
        lost=lost,
        queries=_judged(sides, gate_metric, gate_dims, names, is_known),
        beside=tuple(
            _beside(name, scores, sides.after[gate_dims], gate_metric, sides.used, labels, seed)
            for name, scores in (beside or {}).items()
        ),
    )


def _sides(before: Systems | Scores, after: Systems | Scores, exclude: frozenset[str]) -> _Sides:
    one, two = _by_dims(before), _by_dims(after)
    if not one or one.keys() != two.keys():
        raise ValueError(f"dimensions differ: {list(one)} and {list(two)}")
    ids = next(iter(one.values())).query_ids
    if any(scores.query_ids != ids for scores in (*one.values(), *two.values())):
        raise ValueError("the two sides scored different queries, or in another order")
    used = np.array([query not in exclude for query in ids], bool)
    if not used.any():
        raise DataError(
            f"no test query is left to compare: {len(ids)} have a relevant document,"
            f" and {len(ids)} of these are leaks",
            mend="`ragd-tune data check` tells what is wrong with the test split",
        )
    return _Sides(before=one, after=two, used=used)


def _by_dims(system: Systems | Scores) -> dict[int | None, Scores]:
    return {None: system} if isinstance(system, Scores) else dict(system.items())


def _gate(sides: _Sides, metric: str, dims: int | None) -> int | None:
    """Return the dimension that decides."""
    if dims is None and None not in sides.before:
        dims = max(size for size in sides.before if size is not None)
    if dims not in sides.before or metric not in _metrics(sides, dims):
        raise UsageError(
            f"{metric} at dimension {dims} decides, and was not measured",
            mend=f"measured: {sorted(sides.any.values)} at {list(sides.before)}",
        )
    return dims


def _metrics(sides: _Sides, dims: int | None) -> list[str]:
    return [name for name in sides.before[dims].values if name in sides.after[dims].values]


def _cells(
    sides: _Sides,
    part: Part,
    mask: _Mask,
    labels: NDArray[np.int64],
    seed: int,
    resamples: int,
) -> list[Cell]:
    names = [(dims, metric) for dims in sides.before for metric in _metrics(sides, dims)]
    before = np.stack([sides.before[d].values[m][mask] for d, m in names], axis=1)
    after = np.stack([sides.after[d].values[m][mask] for d, m in names], axis=1)
    found = paired_columns(after - before, labels, seed=seed, resamples=resamples)
    return [
        Cell(
            part=part,
            dims=dims,
            metric=metric,
            before=float(before[:, j].mean()),
            after=float(after[:, j].mean()),
            difference=found[j],
        )
        for j, (dims, metric) in enumerate(names)
    ]


def _counts(sides: _Sides, masks: Mapping[Part, _Mask]) -> Counts:
    return Counts(
        queries=int(masks["all"].sum()),
        known=int(masks["known"].sum()),
        new=int(masks["new"].sum()),
        unjudged=sides.any.unjudged,
        excluded=int((~sides.used).sum()),
        collapsed=sides.any.collapsed,
    )


def _beside(
    name: str,
    other: Scores,
    after: Scores,
    metric: str,
    used: _Mask,
    labels: NDArray[np.int64],
    seed: int,
) -> Beside:
    if other.query_ids != after.query_ids:
        raise ValueError(f"{name} scored different queries, or in another order")
    theirs = other.values[metric][used]
    difference = paired(after.values[metric][used] - theirs, labels[used], seed=seed)
    return Beside(name=name, score=float(theirs.mean()), difference=difference)


def _judged(
    sides: _Sides, metric: str, dims: int | None, clusters: Sequence[str], known: _Mask
) -> tuple[Judged, ...]:
    one, two = sides.before[dims], sides.after[dims]
    return tuple(
        Judged(
            id=query,
            before=float(one.values[metric][i]),
            after=float(two.values[metric][i]),
            cluster=clusters[i],
            known=bool(known[i]),
        )
        for i, query in enumerate(one.query_ids)
        if sides.used[i]
    )


def _moved(
    sides: _Sides, metric: str, dims: int | None, texts: Mapping[str, str]
) -> tuple[tuple[Moved, ...], tuple[Moved, ...]]:
    """Return the queries that gained and lost most by the gate's metric, the largest move first."""
    one, two = sides.before[dims], sides.after[dims]
    change = np.where(sides.used, two.values[metric] - one.values[metric], 0.0)
    order = np.argsort(-change, kind="stable")
    gained = [i for i in order[:EXAMPLES] if change[i] > 0]
    lost = [i for i in np.argsort(change, kind="stable")[:EXAMPLES] if change[i] < 0]

    def moved(i: int) -> Moved:
        query = one.query_ids[i]
        return Moved(
            query_id=query,
            text=texts.get(query, ""),
            before=float(one.values[metric][i]),
            after=float(two.values[metric][i]),
            rank_before=_rank(one, i),
            rank_after=_rank(two, i),
        )

    return tuple(map(moved, gained)), tuple(map(moved, lost))


def _rank(scores: Scores, i: int) -> int | None:
    return int(scores.first[i]) or None if len(scores.first) else None
