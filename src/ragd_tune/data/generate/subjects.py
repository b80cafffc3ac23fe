"""Which passages speak of the same subject, and which of them tells of what: questions by contrast.

A passage alone rarely shows what it answers: nearly every one about an illness names a cause and a
treatment. Beside the others about the same subject it does: "What are the treatments for gout?"
belongs to the one that speaks of treatment more than of anything else, and more than the others
do. Those others are what a search takes for the answer, and are none: the question's *rivals*,
which a training has as hard negatives.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.drawn import drawn
from ragd_tune.data.generate.frames import FRAMES, LEAST, Frame, weights
from ragd_tune.data.generate.language import language
from ragd_tune.data.generate.patterns import definition
from ragd_tune.data.generate.salient import Statistics, plain
from ragd_tune.data.generate.words import sentences

NAMED = 1.8
"""Passages that must name a subject, unless one defines it; a second topic counts as 1/2."""
FEWER = 0.5
"""A rival gives a frame at most this part of the share that the answer gives it."""
RIVALS = 8
"""Rivals of a question at most: a training reads four."""
_FREQUENT = 8.0
_DEFINED = 2.0
"""What a definition adds to the passages that name a subject."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of one passage, by which recipe, and the ids of its rivals."""

    style: str
    text: str
    against: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Passage:
    """The topics of a passage, what it defines and the question for that, and what it tells of."""

    topics: tuple[str, ...]
    defines: str
    defining: str
    weights: Mapping[str, float]

    def share(self, frame: str) -> float:
        """Return the frame's share of all that is told; less where that is little."""
        weight = self.weights[frame]
        return weight / sum(self.weights.values()) * min(1.0, weight / LEAST) if weight else 0.0


def by_subject(
    chunks: Sequence[Chunk], found: Statistics, names: Mapping[str, Sequence[str]]
) -> dict[str, list[Asked]]:
    """Return the questions of each passage that the others about its subject leave to it.

    A passage that defines its subject is asked what that is, and nothing else: it tells a little
    of everything. Passages that are code or not English are left out.

    :param names: the topics of each passage, by :func:`ragd_tune.data.generate.topics.topics`.
    """
    known = {
        chunk.id: _read(chunk, found, names[chunk.id])
        for chunk in chunks
        if not chunk.code and language(chunk.text) in ("en", "")
    }
    groups = _groups(known)
    asked: defaultdict[str, list[Asked]] = defaultdict(list)
    for did, passage in known.items():
        if passage.defines:
            around = groups.get(passage.defines.lower(), {})
            others = [one for one in around if one != did and not known[one].defines]
            asked[did].append(_asked("definition", passage.defining, others))
    for members in groups.values():
        for did, one in _aspects(members, known):
            asked[did].append(one)
    return asked


def _read(chunk: Chunk, found: Statistics, names: Sequence[str]) -> _Passage:
    parts = [*chunk.headings[-1:], *sentences(plain(chunk.text))]
    defines, defining = next(definition(parts, found), ("", ""))
    return _Passage(tuple(names), defines, defining, weights(parts))


def _groups(known: Mapping[str, _Passage]) -> dict[str, dict[str, str]]:
    """Return the passages of each subject, each with the subject as it writes it.

    A passage has one subject: of its topics the one that is named first and by most passages.
    """
    named: Counter[str] = Counter()
    for passage in known.values():
        named.update({one.lower(): 1 / rank for rank, one in enumerate(passage.topics, 1)})
    defined = {passage.defines.lower() for passage in known.values()}
    groups: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for did, passage in known.items():
        best = ("", 0.0)
        for rank, one in enumerate(passage.topics, 1):
            count, has = named[one.lower()], one.lower() in defined
            if count >= NAMED or has:
                worth = math.log1p(min(count, _FREQUENT) + _DEFINED * has) / rank
                best = max(best, (one, worth), key=lambda pair: pair[1])
        if best[0]:
            groups[best[0].lower()][did] = best[0]
    return groups


def _aspects(
    members: Mapping[str, str], known: Mapping[str, _Passage]
) -> Iterator[tuple[str, Asked]]:
    """Yield (passage, question) for each frame that one member tells of most."""
    for frame in FRAMES:
        shares = {did: known[did].share(frame.name) for did in members}
        best = max(shares, key=lambda did: (shares[did], did))
        passage, own = known[best], known[best].weights
        if passage.defines or own[frame.name] < max(LEAST, *own.values()):
            continue
        others = [did for did in members if shares[did] <= FEWER * shares[best] and did != best]
        yield best, _asked("aspect", _worded(frame, members[best], best), others)


def _worded(frame: Frame, subject: str, did: str) -> str:
    """Return one of the frame's questions, which the passage's id decides."""
    form = frame.ask[drawn(did + frame.name, len(frame.ask))]
    return form.format(subject, be="are" if _plural(subject) else "is")


def _plural(noun: str) -> bool:
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))


def _asked(style: str, text: str, others: Sequence[str]) -> Asked:
    """Return a question against some of the others, which it decides itself."""
    order = sorted(others, key=lambda did: (drawn(f"{text} {did}", 2**32), did))
    return Asked(style, text, tuple(order[:RIVALS]))
