"""Counts over all passages: how rare a word or phrase is, and which words are verbs."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.words import STOP, phrases, words

COMMON = 0.5
"""A word in more than this share of the passages says nothing about one of them."""
VERBAL, ACTION = 0.08, 0.2
"""A word that follows "to", "can" and the like in so much of its places may be, or is, a verb."""
_MARKUP = re.compile(r"^[ \t]*(?:`{3,}|~{3,}).*$|\]\([^)]*\)|<[^<>]{1,80}>", re.MULTILINE)
_WORDS_VERBAL = """
to can will may must should could would might not don't you they we who which
"""
_VERBAL = frozenset(_WORDS_VERBAL.split())


@dataclass(slots=True)
class Statistics:
    """Counts over all passages. ``documents`` is how many passages a phrase or word stands in."""

    total: int
    stop: frozenset[str]
    words: Mapping[str, int]
    phrases: Mapping[str, int]
    verbs: frozenset[str]
    actions: frozenset[str]

    def rarity(self, count: int) -> float:
        """Return ln(1 + N / df): the inverse document frequency, above 0."""
        return math.log1p(self.total / max(1, count))


def statistics(chunks: Sequence[Chunk]) -> Statistics:
    """Count words and phrases of ``chunks``."""
    seen: Counter[str] = Counter()
    tokens = [words(chunk.passage) for chunk in chunks]
    for row in tokens:
        seen.update(set(row))
    total = len(chunks)
    often = {word for word, count in seen.items() if count > COMMON * total and total >= 20}
    stop = STOP | often
    counted: Counter[str] = Counter()
    for chunk in chunks:
        counted.update({one.lower() for one in phrases(_place(chunk), stop)})
    return Statistics(
        total=total,
        stop=frozenset(stop),
        words=seen,
        phrases={one: count for one, count in counted.items() if count > 1 or " " not in one},
        verbs=_verbs(tokens, VERBAL, 1),
        actions=_verbs(tokens, ACTION, 3),
    )


def _place(chunk: Chunk) -> str:
    """Return the passage with its headings, which name topics best."""
    return "\n\n".join((*chunk.headings[-2:], chunk.title, plain(chunk.text)))


def plain(text: str) -> str:
    """Return ``text`` without the marks of fenced blocks and links' addresses."""
    return _MARKUP.sub(" ", text)


def _verbs(tokens: Sequence[Sequence[str]], share: float, least: int) -> frozenset[str]:
    """Return words that follow what verbs follow ("to", "can") in more than ``share`` of places."""
    verbal: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in tokens:
        total.update(row)
        verbal.update(word for before, word in pairwise(row) if before in _VERBAL)
    return frozenset(
        word for word, count in verbal.items() if count >= least and count > share * total[word]
    )
