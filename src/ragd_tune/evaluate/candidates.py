"""The proof of a reranker: candidates of every query, found, put in another order, and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.backends import MultiVector, RerankRequest
from ragd_tune.errors import UsageError
from ragd_tune.evaluate.bm25 import Bm25
from ragd_tune.evaluate.compare import compare
from ragd_tune.evaluate.first_stage import Found, dense, hybrid, keywords, reordered
from ragd_tune.evaluate.metrics import Scores, same_text, score
from ragd_tune.reranking import Stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragd_tune.evaluate.report import Report
    from ragd_tune.kinds import Served, Trial

BLOCK = 1024
"""Documents embedded at once: bounds the memory, and is how often progress is told."""

QUERIES = 32
"""Queries whose candidates are scored at once."""

METRICS = ("ndcg@10", "mrr@10", "recall@10", "hit@1", "hit@3", "hit@10")
"""Recall at 100 is left out: all have the same candidates."""


@dataclass(frozen=True)
class Field:
    """The passages and queries of a split, in a fixed order.

    A passage whose text an earlier one has is never found: no model can tell them apart.
    """

    trial: Trial
    queries: Sequence[str]
    """Ids."""
    documents: Sequence[str]
    """Ids."""
    texts: Sequence[str]
    """Of the documents."""
    same: Mapping[str, str]

    @classmethod
    def of(cls, trial: Trial) -> Field:
        """Return the field of ``trial.split``."""
        corpus = trial.data.corpus
        texts = {did: document.passage for did, document in corpus.items()}
        return cls(
            trial=trial,
            queries=list(trial.data.qrels[trial.split]),
            documents=list(corpus),
            texts=list(texts.values()),
            same=same_text(texts),
        )

    @cached_property
    def keep(self) -> NDArray[np.bool_]:
        """Which documents can be found, (m,)."""
        return np.array([did not in self.same for did in self.documents], bool)

    @cached_property
    def asked(self) -> list[str]:
        """Texts of the queries."""
        return [self.trial.data.queries[qid].text for qid in self.queries]

    def orders(self, stage: Stage) -> dict[str, list[Found]]:
        """Return the candidates that ``stage`` finds, first, and what else could have found them.

        Where it has an embedder, these are that one alone, BM25, and ragd's mixture of both: each
        is asked once for all of them. The keys are words for a report.
        """
        depth = stage.candidates
        self.trial.progress("counting words", 0.0)
        keyed = keywords(self.asked, Bm25(self.texts), depth, keep=self.keep)
        if not stage.embedder:
            return {stage.words: keyed}
        meant = self.dense(stage.embedder, depth)
        made = {
            replace(stage, keywords=False).words: meant,
            replace(stage, keywords=True).words: hybrid(meant, keyed, depth),
            replace(stage, keywords=True, embedder="").words: keyed,
        }
        return {stage.words: made.pop(stage.words), **made}

    def dense(self, name: str, depth: int) -> list[Found]:
        """Return candidates by an embedder.

        :raises UsageError: the model gives many vectors a text.
        """
        self.trial.progress(f"loading {name}", 0.0)
        model = self.trial.open_embedder(name)
        queries = vectors(model, self.asked, name, query=True)
        return dense(queries, self._embedded(model, name), depth, keep=self.keep)

    def _embedded(self, model: Served, name: str) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(self.texts), BLOCK):
            self.trial.progress(f"searching with {name}", start / len(self.texts))
            yield vectors(model, self.texts[start : start + BLOCK], name, query=False)
        self.trial.progress(f"searching with {name}", 1.0)

    def rerank(self, model: Served, found: Sequence[Found], side: str) -> Scores:
        """Return how well ``model`` orders what was found."""
        made: list[Found] = []
        for start in range(0, len(found), QUERIES):
            self.trial.progress(f"reranking with {side}", start / len(found))
            part = found[start : start + QUERIES]
            asked = [
                RerankRequest(
                    query=query, passages=tuple(self.texts[i] for i in one.indices.tolist())
                )
                for query, one in zip(self.asked[start:], part, strict=False)
            ]
            answers = model.rerank(asked)
            made += [reordered(one, scores) for one, scores in zip(part, answers, strict=True)]
        self.trial.progress(f"reranking with {side}", 1.0)
        return self.score(made)

    def score(self, found: Sequence[Found]) -> Scores:
        """Return the metrics of an order, query by query."""
        rankings = {
            qid: [self.documents[i] for i in one.indices.tolist()]
            for qid, one in zip(self.queries, found, strict=True)
        }
        qrels = self.trial.data.qrels[self.trial.split]
        return score(rankings, qrels, metrics=METRICS, equivalents=self.same)

    def judged(
        self,
        before: Mapping[str, Scores],
        after: Scores,
        *,
        gate_metric: str,
        beside: Mapping[str, Scores],
    ) -> Report:
        """Compare ``after`` with the better of those in ``before``; tell all others beside.

        A first stage's order costs nothing, and a model that was never trained to rerank is easily
        beaten: so the incumbent is whichever ranks better on the very queries of the proof, the
        earlier one where they are equal. That choice can only make the proof harder. A metric that
        the incumbent was not measured by is compared with that of another.
        """
        trial = self.trial
        name = max(before, key=lambda one: before[one].means()[gate_metric])
        others = {one: scores for one, scores in before.items() if one != name}
        every = {metric: v for one in before.values() for metric, v in one.values.items()}
        return compare(
            replace(before[name], values={**every, **before[name].values}),
            after,
            gate_metric=gate_metric,
            clusters=trial.data.clusters(trial.split),
            known=trial.data.known_and_new(trial.split)[0],
            exclude=trial.exclude,
            texts={qid: query.text for qid, query in trial.data.queries.items()},
            incumbent=name,
            beside={**others, **beside},
            looks=trial.looks,
            seed=trial.seed,
        )


def prove(
    trial: Trial,
    *,
    gate_metric: str,
    rank: Callable[[Field, Served, Sequence[Found], str], Scores],
    base: str,
    counts: Callable[[Served], bool] = lambda base: True,
) -> Report:
    """Compare the first stage's order with the tuned order of the same candidates.

    One model is in memory at a time if the caller's ``open_`` allows it.

    :param rank: scores the order that a model gives the candidates; the text names the model for
        whoever waits.
    :param base: what the bare base is called in the report.
    :param counts: whether the bare base is a reranker, so that it is an incumbent too.
    """
    field, stage = Field.of(trial), Stage.of(trial.options)
    orders = field.orders(stage)
    scores = {name: field.score(found) for name, found in orders.items()}
    found = orders[stage.words]
    before = {stage.words: scores.pop(stage.words)}
    bare = trial.open_incumbent()
    if counts(bare):
        before[base] = rank(field, bare, found, "the base")
    after = rank(field, trial.open_candidate(), found, "the candidate")
    for name in stage.beside:
        scores[f"the order of {name}"] = field.score(field.dense(name, stage.candidates))
    return field.judged(before, after, gate_metric=gate_metric, beside=scores)


def vectors(model: Served, texts: Sequence[str], name: str, *, query: bool) -> NDArray[np.float32]:
    """Return the vector of each text by the embedder ``name``, float32 (n, dimension).

    :raises UsageError: the model gives many vectors a text.
    """
    found = model.embed(texts, "query" if query else "document")
    if isinstance(found, MultiVector):
        raise UsageError(
            f"{name} gives many vectors a text, and a first stage needs one",
            mend="name an embedding model as --first-stage",
        )
    return found
