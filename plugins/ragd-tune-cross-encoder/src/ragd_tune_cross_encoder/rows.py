"""From judgements to rows of the objective ``relevance``."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ragd_tune.data import DataSet, Query
from ragd_tune.errors import DataError
from ragd_tune.evaluate.bm25 import Bm25
from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Value
from ragd_tune.reranking import FIRST_STAGE

MOST_ANSWERS = 8
"""Passages with an answer in one graded row at most: they are held in memory together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the options say of rows: ``negatives`` for each answer, drawn from ``depth`` mined.

    ``drawn`` draws from the data's own negatives too, where they are more than are wanted; else
    the first ones are taken. ``mine`` fills up by BM25.
    """

    negatives: int = 4
    mine: bool = True
    drawn: bool = False
    depth: int = 50
    seed: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Value]) -> Recipe:
        """Read the options."""
        return cls(
            negatives=int(str(options["negatives"])),
            mine=options["negatives_from"] != "data",
            drawn=options["negatives_from"] == FIRST_STAGE,
            depth=int(str(options["mine_depth"])),
            seed=int(str(options.get("seed", 0))),
        )


def rows(data: DataSet, recipe: Recipe) -> Rows:
    """Return the rows of ``train`` and ``dev``: answers, and passages that are none.

    Where a query's answers are graded, one row holds them all, with labels from 0 to 1; else each
    answer has a row of its own. Negatives are the data's own (which the pipeline has mined by the
    first stage, as a rule), then such as BM25 finds for the query; where it finds too few, any
    passages. None of them is an answer of a query with the same
    text in that split, nor has the text of one. Only a split's own judgements are read.

    :raises DataError: there are no training pairs.
    """
    if not data.qrels.get("train"):
        raise DataError(
            f"{data.source}: there are no training pairs (query and passage) to learn from",
            mend="a reranker learns from qrels/train.tsv, or from rows with query and positive",
        )
    maker = _Maker(data, recipe)
    return Rows(
        objective="relevance",
        train=list(maker.split("train")),
        dev=list(maker.split("dev")),
    )


def same(text: str) -> str:
    """Return what two texts have in common that a reader would call the same."""
    return " ".join(text.split()).casefold()


class _Maker:
    """Makes rows of one data set."""

    def __init__(self, data: DataSet, recipe: Recipe) -> None:
        self.data = data
        self.recipe = recipe
        self.ids = list(data.corpus)
        first: dict[str, str] = {}
        self.keys = {
            did: first.setdefault(same(doc.passage), did) for did, doc in data.corpus.items()
        }

    @cached_property
    def index(self) -> Bm25:
        """BM25 over the corpus."""
        return Bm25([document.passage for document in self.data.corpus.values()])

    def split(self, name: str) -> Iterator[Row]:
        """Yield the rows of one split."""
        relevant: dict[str, set[str]] = {}
        for pair in self.data.pairs(name):
            relevant.setdefault(same(pair.query.text), set()).add(self.keys[pair.document.id])
        top = max((s for found in self._judged(name).values() for s in found.values()), default=1.0)
        for qid, graded in self._judged(name).items():
            query = self.data.queries[qid]
            labels = {did: score / top for did, score in graded.items()}
            barred = relevant[same(query.text)]
            for answers in self._lists(labels):
                yield self._row(query, answers, barred, name)

    def _judged(self, name: str) -> Mapping[str, Mapping[str, float]]:
        return self.data.qrels.get(name, {})

    @staticmethod
    def _lists(labels: Mapping[str, float]) -> Iterator[dict[str, float]]:
        """Yield the answers of each row: all where their grades differ, else one by one."""
        if len(set(labels.values())) > 1:
            best = sorted(labels, key=lambda did: -labels[did])[:MOST_ANSWERS]
            yield {did: labels[did] for did in best}
            return
        for did in labels:
            yield {did: 1.0}

    def _row(self, query: Query, answers: Mapping[str, float], barred: set[str], name: str) -> Row:
        wanted = self.recipe.negatives * len(answers)
        draw = random.Random(f"{self.recipe.seed}/{name}/{query.id}/{next(iter(answers))}")
        negatives = self._negatives(query, barred, wanted, draw)
        passages = [self.data.corpus[did].passage for did in answers]
        return {
            "query": query.text,
            "passages": [*passages, *negatives],
            "labels": [*answers.values(), *[0.0] * len(negatives)],
        }

    def _negatives(
        self, query: Query, barred: set[str], wanted: int, draw: random.Random
    ) -> list[str]:
        """Return the texts of up to ``wanted`` passages that are no answer, each text once."""
        written = self.data.written.get(query.id, ())[:wanted]
        found = dict(zip(written, written, strict=True))
        own = self.data.negatives.get(query.id, ())[: self.recipe.depth]
        if self.recipe.drawn:
            own = tuple(draw.sample(own, len(own)))
        self._take(own, barred, wanted, found)
        if self.recipe.mine and len(found) < wanted:
            _, indices = self.index.top(query.text, self.recipe.depth + len(barred))
            mined = [self.ids[i] for i in indices.tolist()]
            self._take(draw.sample(mined, len(mined)), barred, wanted, found)
            if len(found) < wanted:
                size = min(len(self.ids), 4 * wanted + len(barred))
                self._take(draw.sample(self.ids, size), barred, wanted, found)
        return list(found.values())

    def _take(
        self, ids: Sequence[str], barred: set[str], wanted: int, found: dict[str, str]
    ) -> None:
        for did in ids:
            if len(found) >= wanted:
                return
            key = self.keys[did]
            if key not in barred:
                found.setdefault(key, self.data.corpus[did].passage)
