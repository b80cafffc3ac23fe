"""The proof of a bi-encoder: both models search the same corpus with the same queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ragd_tune.errors import TuneError
from ragd_tune.evaluate import Report, Scores, compare, evaluate_retrieval
from ragd_tune.kinds import Served, Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 1024
"""Documents embedded at once: bounds the memory, and is how often progress is told."""


def prove(trial: Trial, *, gate_metric: str, incumbent: str) -> Report:
    """Embed queries and corpus by the incumbent, then by the candidate, and compare.

    The search is exact. One model is in memory at a time if the caller's ``open_`` allows it.

    :raises TuneError: a dimension asked for is larger than a model's.
    """
    data, split = trial.data, trial.split
    before = _scores(trial, trial.open_incumbent, "incumbent")
    after = _scores(trial, trial.open_candidate, "candidate")
    one, two = _alike(before, after)
    return compare(
        one,
        two,
        gate_metric=gate_metric,
        clusters=data.clusters(split),
        known=data.known_and_new(split)[0],
        exclude=trial.exclude,
        texts={qid: query.text for qid, query in data.queries.items()},
        incumbent=incumbent,
        looks=trial.looks,
        seed=trial.seed,
    )


def _scores(trial: Trial, open_: Callable[[], Served], side: str) -> dict[int, Scores]:
    data = trial.data
    query_ids, document_ids = list(data.qrels[trial.split]), list(data.corpus)
    texts = [data.corpus[did].passage for did in document_ids]
    trial.progress(f"loading the {side}", 0.0)
    model = open_()
    queries = _embed(model, [data.queries[qid].text for qid in query_ids], query=True)
    return evaluate_retrieval(
        queries,
        _blocks(trial, model, texts, side),
        query_ids=query_ids,
        document_ids=document_ids,
        qrels=data.qrels[trial.split],
        dims=sorted(set(trial.dimensions) | {queries.shape[1]}, reverse=True),
        texts=texts,
    )


def _alike(
    before: Mapping[int, Scores], after: Mapping[int, Scores]
) -> tuple[dict[int | None, Scores], dict[int | None, Scores]]:
    """Return what can be compared: the dimensions that both have.

    Where the whole vectors differ in length, they are compared all the same, under None: that is
    what a user would change from and to.
    """
    one: dict[int | None, Scores] = {}
    two: dict[int | None, Scores] = {}
    if max(before) != max(after):
        one[None], two[None] = before[max(before)], after[max(after)]
    for size in sorted(before.keys() & after.keys(), reverse=True):
        one[size], two[size] = before[size], after[size]
    return one, two


def _blocks(
    trial: Trial, model: Served, texts: Sequence[str], side: str
) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(texts), BLOCK):
        trial.progress(f"searching with the {side}", start / len(texts))
        yield _embed(model, texts[start : start + BLOCK], query=False)
    trial.progress(f"searching with the {side}", 1.0)


def _embed(model: Served, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
    vectors = model.embed(texts, "query" if query else "document")
    values = getattr(vectors, "shape", None)
    if values is None:
        raise TuneError("a bi-encoder gives one vector a text, and this model gives many")
    return vectors  # type: ignore[return-value]
