"""What is measured, of what, and by whom."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

METRICS: Mapping[str, str] = {
    "context_precision": "whether the passages that help stand before those that do not",
    "context_recall": "share of the reference answer that the passages say",
    "faithfulness": "share of the answer's statements that the passages say",
    "answer_relevancy": "how near the questions are that the answer would answer (cosine)",
}
"""What is measured, and how to read it. All lie in 0 to 1, more is better; the cosine may be less.

The first two judge what was retrieved, and need no answer; the last needs an embedding model.
"""

CONTEXT = ("context_precision", "context_recall")
ANSWER = ("faithfulness", "answer_relevancy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One question as a RAG system answered it; ``reference`` is the right answer."""

    question: str
    contexts: tuple[str, ...]
    answer: str
    reference: str

    def to_json(self) -> dict[str, object]:
        """Return what the driver reads, by RAGAS's own names."""
        return {
            "user_input": self.question,
            "retrieved_contexts": list(self.contexts),
            "response": self.answer,
            "reference": self.reference,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One score that is wanted: what two sides have in common is judged once."""

    metric: str
    sample: Sample

    @property
    def key(self) -> str:
        """A digest of everything that the judge is shown."""
        told = dict(self.sample.to_json())
        told.pop("response" if self.metric in CONTEXT else "reference")
        if self.metric == "answer_relevancy":
            told.pop("retrieved_contexts")
        return hashlib.sha256(json.dumps([self.metric, told]).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Who judges. ``embedding_model`` None leaves answer relevancy out.

    ``timeout`` is a request's, in seconds; ``silence`` bounds the seconds between two scores.
    The key of the endpoint is that of the environment variable ``RAGD_TUNE_API_KEY``.
    """

    url: str
    model: str
    embedding_model: str | None = None
    allow_remote: bool = False
    timeout: float = 300.0
    silence: float = 1800.0
    workers: int = 4
    python: Path | None = None

    @property
    def header(self) -> dict[str, object]:
        """Return what scores depend on, beside what is judged; the address is not part of it."""
        return {"model": self.model, "embedding_model": self.embedding_model}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Scores by a task's key; ``failed`` are the reasons where the judge gave none."""

    scores: Mapping[str, float]
    failed: Mapping[str, str]
    versions: Mapping[str, str]
