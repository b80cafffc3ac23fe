"""What ragd's hybrid search would show for questions whose answers are known, without ragd.

As ragd 1.0.10 does it: the nearest chunks by cosine and the best by SQLite's BM25 (every word of
the question must be in the chunk) are fused by reciprocal ranks, and each of the first ``limit``
gets the score ``0.7 · (1 + cos) / 2 + 0.3 · min(1, bm25 / 10)``, which thresholds are compared
with. A side that did not find a chunk gives nothing to its score. The divisor is configurable.
"""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragd_tune.evaluate.first_stage import by_meaning, by_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.data import DataSet
    from ragd_tune.ragd.facts import HostConfig
    from ragd_tune.serve import Embedder

FUSION = 60
"""ragd's constant of reciprocal rank fusion: a chunk at rank r of one side gets 1 / (60 + r)."""
QUESTIONS, PASSAGES = 300, 2000
"""At the most, so that thresholds for a large corpus take a minute; right answers are always in."""
_BLOCK = 128

Keywords = Mapping[str, Sequence[tuple[int, float]]]
"""For each question the places of passages that hold its words, and BM25, the best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Questions of a split, the passages that are searched, and the pairs that are right."""

    questions: tuple[str, ...]
    passages: tuple[str, ...]
    right: Mapping[str, frozenset[str]]

    @property
    def answers(self) -> int:
        """Number of right answers."""
        return sum(len(found) for found in self.right.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The scores of what a search shows, before any threshold: of right answers, and of others.

    float64 (n,) and (m,), over all ``questions`` together.
    """

    right: NDArray[np.float64]
    others: NDArray[np.float64]
    questions: int

    def above(self, threshold: float) -> tuple[int, float]:
        """Return how many right answers a threshold lets through, and other results a question."""
        others = int((self.others >= threshold).sum())
        return int((self.right >= threshold).sum()), others / max(1, self.questions)


def sample(data: DataSet, split: str, *, seed: int = 0) -> Sample:
    """Draw questions of ``split``, and passages to search: every right answer, and others."""
    draw = random.Random(seed)
    judged = {
        question: frozenset(key for key, grade in found.items() if grade > 0)
        for question, found in sorted(data.qrels[split].items())
    }
    asked = [question for question, found in judged.items() if found]
    asked = sorted(draw.sample(asked, min(QUESTIONS, len(asked))))
    answers = sorted({key for question in asked for key in judged[question]})
    others = sorted(set(data.corpus) - set(answers))
    room = max(0, min(len(others), PASSAGES - len(answers)))
    return Sample(
        questions=tuple(asked),
        passages=(*answers, *draw.sample(others, room)),
        right={question: judged[question] for question in asked},
    )


def search(
    data: DataSet, drawn: Sample, words: Keywords, embedder: Embedder, facts: HostConfig
) -> Results:
    """Return what ragd shows for ``drawn`` with ``embedder``, as ``facts`` set it up."""
    import numpy as np

    from ragd_tune.evaluate.search import TopK
    from ragd_tune.unit import unit

    queries = unit(embedder.embed_queries([data.queries[one].text for one in drawn.questions]))
    depth = facts.limit * facts.fetched
    nearest = TopK(queries, min(depth, len(drawn.passages)))
    for start in range(0, len(drawn.passages), _BLOCK):
        keys = drawn.passages[start : start + _BLOCK]
        nearest.add(unit(embedder.embed_documents([data.corpus[key].passage for key in keys])))
    cosines, places = nearest.result()
    told: tuple[list[float], list[float]] = ([], [])
    for row, question in enumerate(drawn.questions):
        meant = list(zip(places[row].tolist(), cosines[row].tolist(), strict=True))
        for place, score in fused(meant, words.get(question, ()), facts):
            told[drawn.passages[place] not in drawn.right[question]].append(score)
    right, others = (np.array(one, np.float64) for one in told)
    return Results(right=right, others=others, questions=len(drawn.questions))


def fused(
    meaning: Sequence[tuple[int, float]], words: Sequence[tuple[int, float]], facts: HostConfig
) -> Iterator[tuple[int, float]]:
    """Yield (place, score) of the first ``facts.limit`` of both sides, by reciprocal ranks.

    Both sides are (place, cosine) and (place, BM25), the best first. A tie keeps the order in which
    ragd met the chunks: the nearest first.
    """
    ranks: dict[int, float] = {}
    scores: dict[int, float] = {}
    for rank, (place, cosine) in enumerate(meaning, start=1):
        ranks[place] = 1 / (FUSION + rank)
        scores[place] = by_meaning(cosine)
    for rank, (place, bm25) in enumerate(words, start=1):
        ranks[place] = ranks.get(place, 0.0) + 1 / (FUSION + rank)
        scores[place] = scores.get(place, 0.0) + by_words(bm25, facts.divisor)
    for place in sorted(ranks, key=lambda one: -ranks[one])[: facts.limit]:
        yield place, scores[place]


def keywords(data: DataSet, drawn: Sample, facts: HostConfig) -> Keywords:
    """Return what SQLite's BM25 finds, as ragd asks it: every word of a question must match."""
    found: dict[str, list[tuple[int, float]]] = {}
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize='porter unicode61')")
        database.executemany(
            "INSERT INTO words (rowid, text) VALUES (?, ?)",
            ((place, data.corpus[key].passage) for place, key in enumerate(drawn.passages)),
        )
        for question in drawn.questions:
            phrase = " ".join(
                f'"{word}"' for word in re.findall(r"\w+", data.queries[question].text)
            )
            rows = database.execute(
                "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ? ORDER BY bm25(words)"
                " LIMIT ?",
                (phrase or '""', facts.limit * facts.fetched),
            )
            found[question] = [(int(place), float(score)) for place, score in rows]
    return found
