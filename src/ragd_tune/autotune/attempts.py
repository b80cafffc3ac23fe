"""One trial of a search: the options that it trained with, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What to try: ``drawn`` are Optuna's own numbers, ``options`` what a training gets of them."""

    number: int
    drawn: Mapping[str, float]
    options: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A trial that is done. ``score`` is the gate's metric on dev, None if the trial failed.

    ``failure`` says why it did. ``queries`` are the scores of each dev query, ``base`` that of the
    incumbent. ``seconds`` are those of training and judging.
    """

    number: int
    options: Mapping[str, float]
    score: float | None = None
    base: float | None = None
    seconds: float = 0.0
    failure: str = ""
    queries: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return what ``--json`` shows."""
        return {
            "number": self.number,
            "options": dict(self.options),
            "score": self.score,
            "seconds": self.seconds,
            "failure": self.failure,
        }


def best(attempts: Sequence[Attempt]) -> Attempt | None:
    """Return the attempt with the highest score, the first of equal ones; None if all failed."""
    done = [one for one in attempts if one.score is not None]
    return max(done, key=lambda one: (one.score or 0.0, -one.number), default=None)
