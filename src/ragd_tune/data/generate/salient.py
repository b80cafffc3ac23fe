"""What a passage is about, by the statistics of the documents themselves: topics and facets.

A *topic* names what one passage is about and few others are ("acid lipase disease"); a *facet* is
a word that says under which aspect ("treatment", "prognosis"): it stands in many passages of many
topics, often several times or early. Both come from counts alone, so they work for any field.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.words import STOP, phrases, sentences, words

COMMON = 0.5
"""A word in more than this share of the passages says nothing about one of them."""
_FACET = 0.002, 0.5
"""Shares of the passages that a facet may stand in."""
_TOPICS, _FACETS = 3, 3
_MARKUP = re.compile(r"^[ \t]*(?:`{3,}|~{3,}).*$|\]\([^)]*\)|<[^<>]{1,80}>", re.MULTILINE)
_WORDS_DETERMINERS = """
the a an of its their his her your our this these those any some no other each both
"""
_DETERMINERS = frozenset(_WORDS_DETERMINERS.split())
_WORDS_VERBAL = """
to can will may must should could would might not don't you they we
"""
_VERBAL = frozenset(_WORDS_VERBAL.split())


@dataclass(slots=True)
class Statistics:
    """Counts over all passages. ``documents`` is how many passages a phrase or word stands in."""

    total: int
    stop: frozenset[str]
    words: Mapping[str, int]
    phrases: Mapping[str, int]
    nouns: frozenset[str]
    spread: Mapping[str, float] = field(default_factory=dict)

    def rarity(self, count: int) -> float:
        """Return ln(1 + N / df): the inverse document frequency, above 0."""
        return math.log1p(self.total / max(1, count))


@dataclass(frozen=True, slots=True)
class About:
    """What one passage is about: topics and facets, the best first."""

    topics: tuple[str, ...]
    facets: tuple[str, ...]


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
        nouns=_nouns(tokens),
    )


def _place(chunk: Chunk) -> str:
    """Return the passage with its headings, which name topics best."""
    return "\n\n".join((*chunk.headings[-2:], chunk.title, plain(chunk.text)))


def plain(text: str) -> str:
    """Return ``text`` without the marks of fenced blocks and links' addresses."""
    return _MARKUP.sub(" ", text)


def _nouns(tokens: Sequence[Sequence[str]]) -> frozenset[str]:
    """Return words that follow a determiner often, and a verb's company seldom."""
    after: Counter[str] = Counter()
    verbal: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in tokens:
        for before, word in pairwise(row):
            total[word] += 1
            after[word] += before in _DETERMINERS
            verbal[word] += before in _VERBAL
    return frozenset(
        word
        for word, count in total.items()
        if after[word] >= 0.1 * count and verbal[word] <= 0.1 * count and word.isalpha()
    )


def topics(chunk: Chunk, found: Statistics) -> list[tuple[str, float]]:
    """Return the phrases that name the passage best, with scores, the best first.

    The score is frequency × rarity × length × place: a phrase of the headings or of the first
    sentence counts more, and one that stands in a longer chosen phrase is left out.
    """
    text = plain(chunk.passage)
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for one in phrases(text, found.stop):
        counts[one.lower()] += 1
        shown.setdefault(one.lower(), one)
    lead = " ".join(sentences(text)[:1]).lower()
    above = " ".join((*chunk.headings, chunk.title)).lower()
    scores = {}
    for phrase, count in counts.items():
        known = found.phrases.get(phrase, 1)
        if known < 2 and count < 2 and phrase not in above:
            continue
        length = 1 + 0.4 * phrase.count(" ")
        place = 1 + 0.7 * (phrase in lead) + (phrase in above)
        scores[phrase] = (1 + math.log(count)) * found.rarity(known) * length * place
    best: list[tuple[str, float]] = []
    for phrase, score in sorted(scores.items(), key=lambda item: (-item[1], item[0])):
        if not any(phrase in other or other in phrase for other, _ in best):
            best.append((phrase, score))
        if len(best) == _TOPICS:
            break
    return [(shown[phrase], score) for phrase, score in best]


def spreads(
    chunks: Sequence[Chunk], tops: Sequence[Sequence[tuple[str, float]]]
) -> dict[str, float]:
    """Return, for each word, how many different topics its passages have: 1 is "all differ"."""
    own: defaultdict[str, set[str]] = defaultdict(set)
    seen: Counter[str] = Counter()
    for chunk, best in zip(chunks, tops, strict=True):
        if best:
            for word in set(words(chunk.passage)):
                own[word].add(best[0][0].lower())
                seen[word] += 1
    return {word: len(own[word]) / count for word, count in seen.items() if count > 1}


def facets(chunk: Chunk, best: Sequence[tuple[str, float]], found: Statistics) -> list[str]:
    """Return the aspects under which the passage speaks of its topic, the best first."""
    row = words(chunk.text)
    lead = set(words(" ".join(sentences(chunk.text)[:2])))
    named = {word for phrase, _ in best[:1] for word in words(phrase)}
    low, high = (share * found.total for share in _FACET)
    scores = {}
    for word, count in Counter(row).items():
        known = found.words.get(word, 0)
        if word in named or word in found.stop or word not in found.nouns or len(word) < 4:
            continue
        if not max(3, low) <= known <= max(3, high):
            continue
        early = 1 + (word in lead)
        # Counts level off; the spread is cubed, since it tells an aspect from a part of the topic.
        scores[word] = math.log1p(count) * early * found.spread.get(word, 0.0) ** 3
    ranked = sorted(scores, key=lambda word: (-scores[word], word))
    return ranked[:_FACETS]


def about(chunks: Sequence[Chunk]) -> tuple[Statistics, list[About]]:
    """Return the statistics of ``chunks``, and what each is about."""
    found = statistics(chunks)
    tops = [topics(chunk, found) for chunk in chunks]
    found.spread = spreads(chunks, tops)
    described = [
        About(tuple(name for name, _ in best), tuple(facets(chunk, best, found)))
        for chunk, best in zip(chunks, tops, strict=True)
    ]
    return found, described
