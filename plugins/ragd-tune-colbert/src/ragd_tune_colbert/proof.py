"""The proof of a ColBERT: the same candidates of a first stage, in another order.

A model that was never trained to rerank is easily beaten, and the first stage costs nothing: so the
incumbent is whichever of the two ranks better on the very queries of the proof. That choice can
only make the proof harder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.evaluate import Report, Scores, compare, same_text, score, top_k
from ragd_tune.kinds import Served, Trial

if TYPE_CHECKING:
    from ragd_tune.backends import MultiVector
    from ragd_tune.serve.tokens import TokenStore

BLOCK = 256
"""Documents embedded at once: bounds the memory, and is how often progress is told."""

WHOLE = "ndcg@10 of the whole corpus by MaxSim"

Rankings = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What both models rank: the queries, and a first stage's best documents for each."""

    queries: tuple[str, ...]
    candidates: Rankings
    same: Mapping[str, str]
    everything: bool

    @property
    def documents(self) -> list[str]:
        """Every document that is some query's candidate, once."""
        return list(dict.fromkeys(one for found in self.candidates.values() for one in found))


def prove(trial: Trial, *, gate_metric: str) -> Report:
    """Rank by the first stage, by the base and by the candidate, and compare.

    One model is in memory at a time if the caller's ``open_`` allows it.
    """
    data, split = trial.data, trial.split
    stage = _first(trial)
    first = score(stage.candidates, data.qrels[split], equivalents=stage.same)
    base = _scores(trial, stage, trial.open_incumbent, "base")
    after = _scores(trial, stage, trial.open_candidate, "candidate")
    before, name = _better(first, base, gate_metric, str(trial.options["first_stage"]))
    return compare(
        before,
        after,
        gate_metric=gate_metric,
        clusters=data.clusters(split),
        known=data.known_and_new(split)[0],
        exclude=trial.exclude,
        texts={qid: query.text for qid, query in data.queries.items()},
        incumbent=name,
        looks=trial.looks,
        seed=trial.seed,
    )


def _better(first: Scores, base: Scores, metric: str, stage: str) -> tuple[Scores, str]:
    """Return the incumbent and its name; what only MaxSim over everything shows, the base has."""
    if base.means()[metric] > first.means()[metric]:
        return base, "the base's own MaxSim"
    shared = {name: base.values[name] for name in base.values if name not in first.values}
    return replace(first, values={**first.values, **shared}), f"the order of {stage}"


def _first(trial: Trial) -> Stage:
    """Search by the first stage: exact cosines over the whole corpus."""
    data = trial.data
    trial.progress("loading the first stage", 0.0)
    model = trial.open_embedder(str(trial.options["first_stage"]))
    same = same_text({did: document.passage for did, document in data.corpus.items()})
    ids = [did for did in data.corpus if did not in same]
    queries = list(data.qrels[trial.split])
    asked = model.embed([data.queries[qid].text for qid in queries], "query")
    blocks = (vectors for _, vectors in _embed(trial, model, ids, "searching"))
    count = min(len(ids), int(str(trial.options["candidates"])))
    _, found = top_k(asked, blocks, count)  # type: ignore[arg-type]
    return Stage(
        queries=tuple(queries),
        candidates={
            qid: [ids[i] for i in row] for qid, row in zip(queries, found.tolist(), strict=True)
        },
        same=same,
        everything=len(ids) <= int(str(trial.options["whole_corpus"])),
    )


def _embed(
    trial: Trial, model: Served, ids: Sequence[str], what: str
) -> Iterator[tuple[Sequence[str], object]]:
    """Yield blocks of documents with what ``model`` makes of them."""
    for start in range(0, len(ids), BLOCK):
        trial.progress(what, start / len(ids))
        part = ids[start : start + BLOCK]
        yield part, model.embed([trial.data.corpus[did].passage for did in part], "document")
    trial.progress(what, 1.0)


def _scores(trial: Trial, stage: Stage, open_: Callable[[], Served], side: str) -> Scores:
    from ragd_tune.serve.late import multi
    from ragd_tune.serve.tokens import TokenStore

    data = trial.data
    trial.progress(f"loading the {side}", 0.0)
    model = open_()
    asked = multi(model.embed([data.queries[qid].text for qid in stage.queries], "query"))
    ids = [did for did in data.corpus if did not in stage.same]
    wanted = ids if stage.everything else stage.documents
    with tempfile.TemporaryDirectory(prefix="ragd-tune-") as folder:
        found = _embed(trial, model, wanted, f"embedding for the {side}")
        store = TokenStore.write(
            Path(folder) / "tokens",
            ((part, multi(vectors)) for part, vectors in found),  # type: ignore[arg-type]
            model=side,
            pool=int(str(trial.options["token_pooling"])),
        )
        return _ranked(trial, stage, store, asked)


def _ranked(trial: Trial, stage: Stage, store: TokenStore, asked: MultiVector) -> Scores:
    qrels = trial.data.qrels[trial.split]
    made = score(_reranked(stage, store, asked), qrels, equivalents=stage.same)
    if not stage.everything:
        return made
    found = [[did for did, _ in row] for row in store.search(asked, 100)]
    whole = score(dict(zip(stage.queries, found, strict=True)), qrels, equivalents=stage.same)
    return replace(made, values={**made.values, WHOLE: whole.values["ndcg@10"]})


def _reranked(stage: Stage, store: TokenStore, asked: MultiVector) -> Rankings:
    """Return the candidates by falling MaxSim; a tie stays in the first stage's order."""
    import numpy as np

    from ragd_tune.serve.late import some

    made = {}
    for row, qid in enumerate(stage.queries):
        ids = stage.candidates[qid]
        order = np.argsort(-store.score(some(asked, [row]), ids), kind="stable")
        made[qid] = [ids[i] for i in order]
    return made
