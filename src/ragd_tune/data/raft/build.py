"""Contexts by the paper: the oracle among distractors, or distractors alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ragd_tune.data.model import DataSet
from ragd_tune.data.raft.example import Example

Search = Callable[[Sequence[str], int], Sequence[Sequence[str]]]
"""Questions and a number to the ids of the best passages of each, the best first."""

_DEEPER = 20
"""So many passages more are looked at as are needed: oracles and false ones are passed over."""

_ANY = 256
"""So many passages at random are looked at where too few share a word with a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """``distractors`` beside an oracle, and the share of examples that have the oracle at all.

    The paper's P is 0.8; it finds 40 to 100% best, by data set (section 4.4).
    """

    distractors: int = 4
    oracle_share: float = 0.8
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What stands in a prompt: documents in order, and whether the oracle is among them."""

    documents: tuple[str, ...]
    has_oracle: bool


@dataclass(frozen=True, kw_only=True)
class Contexts:
    """Builds contexts of a data set's examples: the same for the same seed, in any order.

    ``search`` retrieves distractors, the hardest first.
    """

    data: DataSet
    search: Search
    mix: Mix = field(default_factory=Mix)

    def hardest(self, examples: Mapping[str, Example], count: int) -> dict[str, list[str]]:
        """Return ``count`` distractors by query id: mined negatives first, then retrieved ones.

        Left out are the oracle, passages of the same text, and passages that hold the answer word
        for word: those would be no distractors.
        """
        ids = list(examples)
        found = self.search([examples[qid].question for qid in ids], count + _DEEPER)
        return {
            qid: self._pick(examples[qid], qid, retrieved, count)
            for qid, retrieved in zip(ids, found, strict=True)
        }

    def _pick(self, example: Example, qid: str, retrieved: Sequence[str], count: int) -> list[str]:
        kept: dict[str, None] = {}
        for text in self._candidates(example, qid, retrieved):
            if len(kept) == count:
                break
            if not _answers(text, example):
                kept.setdefault(text)
        return list(kept)

    def _candidates(self, example: Example, qid: str, retrieved: Sequence[str]) -> Iterator[str]:
        """Yield texts: those that came with the example, mined, retrieved, and then any."""
        corpus = self.data.corpus
        yield from example.distractors
        mined = [did for did in self.data.negatives.get(qid, ()) if did in corpus]
        for did in (*mined, *retrieved):
            yield corpus[did].passage
        # too few share a word with the question
        draw = random.Random(f"{self.mix.seed}/any/{qid}")
        for at in draw.sample(range(len(self._ids)), min(len(self._ids), _ANY)):
            yield corpus[self._ids[at]].passage

    @cached_property
    def _ids(self) -> list[str]:
        return list(self.data.corpus)

    def train(self, examples: Mapping[str, Example]) -> dict[str, Context]:
        """Return a context for each example: with the oracle for a share of them, else without."""
        hard = self.hardest(examples, self.mix.distractors + 1)
        return {
            qid: self._one(qid, one, hard[qid], oracle=self._draw(qid) < self.mix.oracle_share)
            for qid, one in examples.items()
        }

    def fixed(
        self, examples: Mapping[str, Example], *, oracle: bool, distractors: int
    ) -> dict[str, Context]:
        """Return contexts of one kind: with or without the oracle, and so many distractors."""
        hard = self.hardest(examples, distractors + (0 if oracle else 1)) if distractors else {}
        return {
            qid: self._one(qid, one, hard.get(qid, []), oracle=oracle, count=distractors)
            for qid, one in examples.items()
        }

    def _draw(self, qid: str) -> float:
        return random.Random(f"{self.mix.seed}/oracle/{qid}").random()

    def _one(
        self,
        qid: str,
        example: Example,
        hard: Sequence[str],
        *,
        oracle: bool,
        count: int | None = None,
    ) -> Context:
        """Return the documents, shuffled. Without the oracle one more distractor stands for it."""
        count = self.mix.distractors if count is None else count
        chosen = [*example.oracle, *hard[:count]] if oracle else list(hard[: count + 1])
        random.Random(f"{self.mix.seed}/order/{qid}").shuffle(chosen)
        return Context(documents=tuple(chosen), has_oracle=oracle)


def _answers(text: str, example: Example) -> bool:
    same = " ".join(text.split())
    if any(same == " ".join(one.split()) for one in example.oracle):
        return True
    answer = " ".join(example.answer.split())
    return len(answer) > 3 and answer.casefold() in same.casefold()


def lexical_search(data: DataSet) -> Search:
    """Return a search by BM25 over the corpus of ``data``.

    :raises NotInstalledError: the package bm25s is not here.
    """
    from ragd_tune.data.mine.lexical import Lexical

    ids = list(data.corpus)
    index = Lexical([data.corpus[did].passage for did in ids])

    def search(questions: Sequence[str], count: int) -> list[list[str]]:
        return [[ids[int(i)] for i in numbers] for _, numbers in index.search(questions, count)]

    return search
