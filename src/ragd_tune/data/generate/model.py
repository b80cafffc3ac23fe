"""A question with its origin, and what a generation made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that the passage ``chunk`` answers.

    ``style`` is the recipe or the style that was asked for; ``generator`` is ``headings`` or
    ``llm``; ``model`` and ``prompt`` (the sha256 of the prompt's wording, its first 12 digits)
    are empty without an LLM. ``score`` is a judge's, from 1 to 10. ``against`` are passages that
    speak of the same and do not answer it.
    """

    chunk: str
    text: str
    style: str
    generator: str = "headings"
    model: str = ""
    prompt: str = ""
    score: float | None = None
    against: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy without what is empty; ``negatives.jsonl`` has the others."""
        told = asdict(self)
        del told["against"]
        return {name: value for name, value in told.items() if value not in ("", None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What one filter dropped: how many of how many, and examples."""

    name: str
    seen: int
    count: int
    examples: tuple[Mapping[str, str], ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return {
            "seen": self.seen,
            "dropped": self.count,
            "examples": [dict(one) for one in self.examples],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterReport:
    """What all filters did, in the order in which they ran; ``off`` were switched off."""

    filters: tuple[Dropped, ...] = ()
    off: tuple[str, ...] = ()
    made: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy; ``made`` and ``kept`` count by style."""
        return {
            "filters": {one.name: one.to_json() for one in self.filters},
            "off": list(self.off),
            "made": dict(self.made),
            "kept": dict(self.kept),
        }
