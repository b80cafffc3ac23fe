"""Leaks: the same or nearly the same query on both sides of a split.

The measure, and why: two queries are *the same* if nothing but case, blanks, punctuation and
Unicode form differs. They are *nearly the same* if one edit in each 40 characters begun parts them
**and they share an answer**. Text alone cannot tell a typing error from another question: "Find
SUID files" and "Find SGID files", or "vitamin A" and "vitamin K", are one letter apart. The answer
can: where it is the same, the difference did not matter. Queries one edit apart with different
answers are told as similar, and stay in the proof.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ragd_tune.data.model import SPLITS, DataSet
from ragd_tune.data.text import bare, edits

CHARACTERS_PER_EDIT = 40
_SIDES = (("test", "train"), ("test", "dev"), ("dev", "train"))


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """The query ``qid`` of ``split`` stands, as ``other``, in ``other_split`` too."""

    split: str
    qid: str
    other_split: str
    other: str
    kind: Literal["same", "near"]


@dataclass(frozen=True, slots=True)
class _Side:
    """The queries of one split: by what they say and by what answers them."""

    said: dict[str, str]
    by_text: dict[str, list[str]]
    by_answer: dict[str, list[str]]


def allowed(first: str, second: str) -> int:
    """Return how many edits may part two bare texts that count as nearly the same."""
    return 1 + (max(len(first), len(second)) - 1) // CHARACTERS_PER_EDIT


def nearly(first: str, second: str) -> bool:
    """Say whether two bare texts are nearly the same."""
    limit = allowed(first, second)
    if abs(len(first) - len(second)) > limit or not _may_be_near(first, second, limit):
        return False
    return edits(first, second, limit) <= limit


def _may_be_near(first: str, second: str, limit: int) -> bool:
    """Rule most pairs out at little cost: cut one text in pieces, and one must be in the other.

    An edit touches two pieces at most (a swap across a cut), so of 2 limit + 1 one stays whole.
    """
    count = 2 * limit + 1
    cuts = [len(first) * part // count for part in range(count + 1)]
    return any(first[left:right] in second for left, right in pairwise(cuts))


def answers(data: DataSet) -> dict[str, str]:
    """Return a name for the text of each document that answers something: equal texts, one name.

    Case counts here: ``-r`` and ``-R`` are two answers.
    """
    names: dict[str, str] = {}
    used = {did for judged in data.qrels.values() for found in judged.values() for did in found}
    texts = ((did, " ".join(data.corpus[did].passage.split())) for did in sorted(used))
    return {did: names.setdefault(text, did) for did, text in texts}


def _side(data: DataSet, split: str, names: dict[str, str]) -> _Side:
    side = _Side({}, defaultdict(list), defaultdict(list))
    for qid, judged in data.qrels.get(split, {}).items():
        side.said[qid] = text = bare(data.queries[qid].text)
        side.by_text[text.replace(" ", "")].append(qid)
        for name in sorted({names[did] for did in judged}):
            side.by_answer[name].append(qid)
    return side


def _between(left: _Side, right: _Side) -> Iterator[tuple[str, str, Literal["same", "near"]]]:
    """Yield (query, its like, how alike): the first like of each query."""
    near: dict[str, str] = {}
    for name, qids in left.by_answer.items():
        for qid in qids:
            for other in right.by_answer.get(name, ()):
                if qid not in near and nearly(left.said[qid], right.said[other]):
                    near[qid] = other
    for qid, text in left.said.items():
        same = right.by_text.get(text.replace(" ", ""))
        if same:
            yield qid, qid if qid in same else same[0], "same"
        elif qid in near:
            yield qid, near[qid], "near"


def leaks(data: DataSet) -> tuple[Leak, ...]:
    """Return the leaks between test and train, test and dev, dev and train, sorted."""
    names = answers(data)
    sides = {split: _side(data, split, names) for split in data.qrels}
    return tuple(
        sorted(
            Leak(split, qid, other_split, other, kind)
            for split, other_split in _SIDES
            if split in sides and other_split in sides
            for qid, other, kind in _between(sides[split], sides[other_split])
        )
    )


def similar(data: DataSet, known: tuple[Leak, ...]) -> tuple[Leak, ...]:
    """Return queries one edit apart on two sides that are no leak: their answers differ."""
    from ragd_tune.data.near import one_edit_apart

    split_of = {qid: split for split in SPLITS for qid in data.qrels.get(split, {})}
    qids = sorted(split_of)
    leaked = {(leak.split, leak.qid) for leak in known}
    found: dict[str, Leak] = {}
    for one, two in one_edit_apart([bare(data.queries[qid].text) for qid in qids]):
        for qid, other in ((qids[one], qids[two]), (qids[two], qids[one])):
            sides = split_of[qid], split_of[other]
            if sides in _SIDES and (sides[0], qid) not in leaked:
                found.setdefault(qid, Leak(sides[0], qid, sides[1], other, "near"))
    return tuple(sorted(found.values()))
