"""Candidates of every query of a split: found, put in another order, and scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.backends import MultiVector, RerankRequest
from ragd_tune.errors import UsageError
from ragd_tune.evaluate import Scores, same_text, score
from ragd_tune.evaluate.bm25 import Bm25
from ragd_tune.evaluate.first_stage import Found, dense, hybrid, keywords, reordered
from ragd_tune_cross_encoder.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

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

    def first_stage(self, stage: Stage) -> list[Found]:
        """Return the candidates that ``stage`` finds."""
        depth = stage.candidates
        if not stage.keywords:
            return self.dense(stage.embedder, depth)
        self.trial.progress("counting words", 0.0)
        found = keywords(self.asked, Bm25(self.texts), depth, keep=self.keep)
        if not stage.embedder:
            return found
        return hybrid(self.dense(stage.embedder, depth), found, depth)

    def dense(self, name: str, depth: int) -> list[Found]:
        """Return candidates by an embedder.

        :raises UsageError: the model gives many vectors a text.
        """
        self.trial.progress(f"loading {name}", 0.0)
        model = self.trial.open_embedder(name)
        queries = _vectors(model, self.asked, name, query=True)
        return dense(queries, self._embedded(model, name), depth, keep=self.keep)

    def _embedded(self, model: Served, name: str) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(self.texts), BLOCK):
            self.trial.progress(f"searching with {name}", start / len(self.texts))
            yield _vectors(model, self.texts[start : start + BLOCK], name, query=False)
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


def _vectors(model: Served, texts: Sequence[str], name: str, *, query: bool) -> NDArray[np.float32]:
    found = model.embed(texts, "query" if query else "document")
    if isinstance(found, MultiVector):
        raise UsageError(
            f"{name} gives many vectors a text, and a first stage needs one",
            mend="name an embedding model as --first-stage",
        )
    return found
