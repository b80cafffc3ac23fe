"""The proof of a ColBERT: the same candidates of a first stage, put in order by MaxSim."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.evaluate import Report, Scores
from ragd_tune.evaluate.candidates import Field
from ragd_tune.evaluate.candidates import prove as compared
from ragd_tune.evaluate.first_stage import Found, reordered
from ragd_tune.kinds import Served, Trial
from ragd_tune.serve.late import multi, some
from ragd_tune.serve.tokens import TokenStore

if TYPE_CHECKING:
    from ragd_tune.backends import MultiVector

BLOCK = 256
"""Documents embedded at once: bounds the memory, and is how often progress is told."""

WHOLE = "ndcg@10 of the whole corpus by MaxSim"
DEEP = 10
"""What that metric looks at of each query's documents."""

BASE = "the base's own MaxSim"


def prove(trial: Trial, *, gate_metric: str) -> Report:
    """Compare the first stage's order, or the base's MaxSim if that is better, with the adapter's.

    Every base is an incumbent: MaxSim of token vectors means something before any training.
    """
    return compared(trial, gate_metric=gate_metric, rank=_scores, base=BASE)


def _scores(field: Field, model: Served, found: Sequence[Found], side: str) -> Scores:
    """Keep the vectors of all documents that are wanted, each embedded once, and score by them."""
    options = field.trial.options
    everything = int(field.keep.sum()) <= int(str(options["whole_corpus"]))
    wanted = _rows(field, found, everything=everything)
    asked = multi(model.embed(field.asked, "query"))
    with tempfile.TemporaryDirectory(prefix="ragd-tune-") as folder:
        store = TokenStore.write(
            Path(folder) / "tokens",
            _embedded(field, model, wanted, side),
            model=side,
            pool=int(str(options["token_pooling"])),
        )
        made = field.score(_reranked(field, store, asked, found))
        if not everything:
            return made
        whole = field.score(_searched(wanted, store, asked))
    return replace(made, values={**made.values, WHOLE: whole.values["ndcg@10"]})


def _rows(field: Field, found: Sequence[Found], *, everything: bool) -> list[int]:
    """Return which documents are compared: all that can be found, or all candidates."""
    if everything:
        return [int(row) for row in np.flatnonzero(field.keep)]
    return sorted({row for one in found for row in one.indices.tolist()})


def _embedded(
    field: Field, model: Served, rows: Sequence[int], side: str
) -> Iterator[tuple[list[str], MultiVector]]:
    what = f"embedding for {side}"
    for start in range(0, len(rows), BLOCK):
        field.trial.progress(what, start / len(rows))
        part = rows[start : start + BLOCK]
        vectors = multi(model.embed([field.texts[row] for row in part], "document"))
        yield [field.documents[row] for row in part], vectors
    field.trial.progress(what, 1.0)


def _reranked(
    field: Field, store: TokenStore, asked: MultiVector, found: Sequence[Found]
) -> list[Found]:
    made = []
    for number, one in enumerate(found):
        ids = [field.documents[row] for row in one.indices.tolist()]
        made.append(reordered(one, store.score(some(asked, [number]), ids)) if ids else one)
    return made


def _searched(rows: Sequence[int], store: TokenStore, asked: MultiVector) -> list[Found]:
    places = dict(zip(store.ids, rows, strict=True))
    return [
        Found(
            np.array([places[did] for did, _ in best], np.int64),
            np.array([score for _, score in best], np.float32),
        )
        for best in store.search(asked, DEEP)
    ]
