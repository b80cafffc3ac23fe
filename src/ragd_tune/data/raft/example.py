"""One question with its oracle and its answer, and the rules that it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragd_tune.data.raft.answers import ANSWER, quotes_of, reasoned


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question, the passages that answer it, and the answer.

    ``reasoning`` is the whole completion (quotes, then ``<ANSWER>:``) where the data has one.
    ``distractors`` are those that came with it; without, they are retrieved.
    """

    question: str
    answer: str
    oracle: tuple[str, ...]
    oracle_ids: tuple[str, ...] = ()
    reasoning: str = ""
    distractors: tuple[str, ...] = ()

    @property
    def completion(self) -> str:
        """What is to be said: the reasoning, or one that quotes the sentence of the answer."""
        if not self.reasoning:
            return reasoned(self.question, self.answer, self.oracle)
        if ANSWER in self.reasoning:
            return self.reasoning
        return f"{self.reasoning.rstrip()} {ANSWER} {self.answer}"

    @property
    def misquoted(self) -> str:
        """The first quote of the reasoning that is not in the oracle word for word; else ""."""
        for quote in quotes_of(self.reasoning):
            if not quote or not any(quote in text for text in self.oracle):
                return quote or "(an empty quote)"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Examples of one split; ``dropped`` counts those that broke a rule, by the rule."""

    examples: Sequence[Example]
    dropped: Mapping[str, int] = field(default_factory=dict)

    def by_question(self) -> dict[str, Example]:
        """Return the examples by their question, spaces evened out; the first one counts."""
        found: dict[str, Example] = {}
        for one in self.examples:
            found.setdefault(key(one.question), one)
        return found


def key(question: str) -> str:
    """Return what two files have in common that hold the same question."""
    return " ".join(question.split())
