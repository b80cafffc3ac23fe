"""Filters: each looks at one fault, is counted, keeps examples, and can be switched off."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.language import differ
from ragd_tune.data.generate.model import Dropped, FilterReport, Question
from ragd_tune.data.generate.words import words
from ragd_tune.data.text import bare

FILTERS = (
    *("length", "self-reference", "injection", "quotes", "language", "duplicate", "ambiguous"),
    *("round-trip", "judge"),
)
"""In the order in which they run: cheap ones first."""

EXAMPLES = 5
SHORTEST, LONGEST = 2, 60
"""Words of a question."""
QUOTED = 6
"""Words in a row that a question may not take from its passage, if they are most of it."""
SHARED = 3
"""Passages that may share one question and all answer it; beyond, it points nowhere."""

_SELF = re.compile(
    r"\b(?:(?:in|from|according to|by|of|on|to)\s+(?:this|the|that)\s+(?:given\s+|provided\s+|"
    r"above\s+|following\s+)?(?:document|text|passage|section|chapter|paragraph|excerpt|article|context|page|"
    r"snippet)|the\s+(?:passage|excerpt|author)|(?:mentioned|described|discussed|"
    r"provided|given|listed|shown)\s+(?:above|below|here|in\s+the)|as\s+(?:above|below))\b",
    re.IGNORECASE,
)

_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget)\s+(?:all|any|the|your|previous|prior|above)\b|system prompt|"
    r"\bas an? (?:ai|language model)\b|<<<|>>>|\bi (?:cannot|can't|am unable to) (?:help|answer)\b",
    re.IGNORECASE,
)

Faulty = Callable[[Question, Chunk], bool]


class Sieve:
    """Runs filters over questions one after the other, and counts.

    :param off: names of filters that are switched off.
    """

    def __init__(self, chunks: Mapping[str, Chunk], *, off: Collection[str] = ()) -> None:
        self._chunks = chunks
        self._off = frozenset(off)
        self._dropped: list[Dropped] = []
        self._made: Counter[str] = Counter()

    def run(self, questions: Sequence[Question]) -> list[Question]:
        """Return what the filters keep that need no model, near-duplicates as one."""
        self._made.update(one.style for one in questions)
        kept = list(questions)
        simple: dict[str, Faulty] = {
            "length": _length,
            "self-reference": _self_reference,
            "injection": _injected,
            "quotes": quotes,
            "language": lambda one, chunk: not chunk.code and differ(one.text, chunk.text),
        }
        for name, faulty in simple.items():
            kept = self.drop(name, kept, {i for i, q in enumerate(kept) if self._asks(faulty, q)})
        kept = self.drop("duplicate", kept, duplicates(kept))
        return self.drop("ambiguous", kept, ambiguous(kept))

    def _asks(self, faulty: Faulty, question: Question) -> bool:
        return faulty(question, self._chunks[question.chunk])

    def drop(
        self,
        name: str,
        questions: Sequence[Question],
        faulty: Collection[int],
        why: Mapping[int, str] | None = None,
    ) -> list[Question]:
        """Drop the questions at ``faulty``, count them under ``name``, and keep examples."""
        if name in self._off:
            return list(questions)
        shown = sorted(faulty)[:: max(1, len(faulty) // EXAMPLES)][:EXAMPLES]
        examples = tuple(
            {
                "question": questions[one].text,
                "passage": self._chunks[questions[one].chunk].text[:160],
                **({"why": why[one]} if why and one in why else {}),
            }
            for one in shown
        )
        seen = len(questions)
        self._dropped.append(Dropped(name=name, seen=seen, count=len(faulty), examples=examples))
        out = set(faulty)
        return [question for number, question in enumerate(questions) if number not in out]

    def report(self, kept: Sequence[Question]) -> FilterReport:
        """Return what was dropped by which filter, and what is left."""
        return FilterReport(
            filters=tuple(self._dropped),
            off=tuple(name for name in FILTERS if name in self._off),
            made=dict(self._made),
            kept=dict(Counter(one.style for one in kept)),
        )


def _length(question: Question, chunk: Chunk) -> bool:
    count = len(question.text.split())
    dense = len(question.text) >= 6 and not question.text.isascii()  # languages without blanks
    return count > LONGEST or (count < SHORTEST and not dense)


def _self_reference(question: Question, chunk: Chunk) -> bool:
    return bool(_SELF.search(question.text))


def _injected(question: Question, chunk: Chunk) -> bool:
    return injected(question.text, chunk.text)


def injected(said: str, passage: str) -> bool:
    """Say whether an instruction inside a document got through to what a model said."""
    links = re.findall(r"https?://\S+", said)
    return bool(_ORDERS.search(said)) or any(one not in passage for one in links)


def quotes(question: Question, chunk: Chunk) -> bool:
    """Say whether a question is mostly a run of words of its passage: it would teach to copy."""
    asked, told = words(question.text), f" {' '.join(words(chunk.text))} "
    least = max(QUOTED, (len(asked) * 3 + 4) // 5)
    return any(
        f" {' '.join(asked[start : start + least])} " in told
        for start in range(len(asked) - least + 1)
    )


def duplicates(questions: Sequence[Question]) -> set[int]:
    """Return the later of nearly the same questions about one passage."""
    from ragd_tune.data.near import near_duplicates, one_edit_apart

    said = [bare(one.text) for one in questions]
    pairs = [(one, two) for one, two, _ in near_duplicates(said)] + one_edit_apart(said)
    by_passage: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, (text, one) in enumerate(zip(said, questions, strict=True)):
        by_passage[text, one.chunk].append(number)
    same = {number for found in by_passage.values() for number in found[1:]}
    near = {max(one, two) for one, two in pairs if questions[one].chunk == questions[two].chunk}
    return same | near


def ambiguous(questions: Sequence[Question]) -> set[int]:
    """Return questions that more than ``SHARED`` passages would have to answer."""
    passages: defaultdict[str, set[str]] = defaultdict(set)
    said = [bare(one.text) for one in questions]
    for text, one in zip(said, questions, strict=True):
        passages[text].add(one.chunk)
    return {number for number, text in enumerate(said) if len(passages[text]) > SHARED}
