"""Scored pairs: rows to train on, and the proof where no judgements of documents are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet
from ragd_tune.data.groups import components
from ragd_tune.data.text import bare
from ragd_tune.errors import DataError
from ragd_tune.evaluate import Report, Scores, compare
from ragd_tune.kinds import Served, Trial
from ragd_tune.objectives import Row, Rows

if TYPE_CHECKING:
    from ragd_tune.data.model import ScoredPair


def rows(data: DataSet) -> Rows:
    """Return one row for each scored pair of ``train``, and of ``dev``.

    :raises DataError: there are none to train on.
    """
    train, dev = (list(_rows(data, split)) for split in ("train", "dev"))
    if not train:
        raise DataError(
            f"{data.source}: there are no scored pairs in train to learn from",
            mend="it learns from rows with text1, text2 and score (0 to 1)",
        )
    return Rows(objective="similarity", train=train, dev=dev)


def _rows(data: DataSet, split: str) -> Iterator[Row]:
    for pair in data.scored:
        if pair.split == split:
            yield {"text1": pair.text1, "text2": pair.text2, "score": pair.score}


def prove(trial: Trial, *, incumbent: str) -> Report:
    """Compare Spearman's ρ of both models' cosines with the scores of the held-out pairs.

    Pairs that share a text are one cluster. A pair is known if training pairs have one of its
    texts; one that training has whole is a leak and left out.

    :raises DataError: too few pairs are left, or all have the same score.
    """
    from ragd_tune.evaluate.correlation import SPEARMAN, shares

    pairs = {
        str(n): p for n, p in enumerate(p for p in trial.data.scored if p.split == trial.split)
    }
    trained = [pair for pair in trial.data.scored if pair.split == "train"]
    leaked = {_both(pair) for pair in trained}
    kept = {name: pair for name, pair in pairs.items() if _both(pair) not in leaked}
    seen = {text for pair in trained for text in _both(pair)}
    wanted = [pair.score for pair in kept.values()]

    def scores(open_: Callable[[], Served], side: str) -> Scores:
        trial.progress(f"scoring with the {side}", 0.0)
        found = shares(_cosines(open_(), list(kept.values())), wanted)
        return Scores(query_ids=tuple(kept), values={SPEARMAN: found})

    report = compare(
        scores(trial.open_incumbent, "incumbent"),
        scores(trial.open_candidate, "candidate"),
        gate_metric=SPEARMAN,
        clusters=components({name: _both(pair) for name, pair in kept.items()}),
        known={name for name, pair in kept.items() if seen & _both(pair)},
        incumbent=incumbent,
        looks=trial.looks,
        seed=trial.seed,
    )
    counts = replace(report.counts, excluded=len(pairs) - len(kept))
    # What a single pair adds to a correlation is no score that a reader could make anything of.
    return replace(report, counts=counts, gained=(), lost=())


def _both(pair: ScoredPair) -> frozenset[str]:
    """Return the two texts as a reader would call them the same, in no order."""
    return frozenset({bare(pair.text1), bare(pair.text2)})


def _cosines(model: Served, pairs: list[ScoredPair]) -> list[float]:
    import numpy as np

    one = np.asarray(model.embed([pair.text1 for pair in pairs], "query"), np.float64)
    two = np.asarray(model.embed([pair.text2 for pair in pairs], "document"), np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    found: list[float] = ((one * two).sum(axis=1) / np.maximum(lengths, 1e-12)).tolist()
    return found
