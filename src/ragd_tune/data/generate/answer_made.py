"""Examples for RAFT by a language model: one request a question, journalled, and judged."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragd_tune.data.generate.answers import (
    REASONS,
    SCHEMA,
    answer_in,
    ask_answer,
    ask_judge,
    example_of,
    prompt_id,
)
from ragd_tune.data.generate.model_made import LEAST_SCORE
from ragd_tune.data.generate.prompts import JUDGE_SCHEMA, verdict_in
from ragd_tune.data.journal import Journal
from ragd_tune.data.llm import Budget, Endpoint, Job, Outcome, ask_all
from ragd_tune.data.raft import Example

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and the passages (id → text) that answer it."""

    question: str
    oracle: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Examples by query id; ``dropped`` counts by reason, ``outcome`` says what it took."""

    examples: Mapping[str, Example]
    dropped: Mapping[str, int] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)


def answer_by_model(
    asked: Mapping[str, Asked],
    endpoint: Endpoint,
    folder: Path,
    *,
    judged: bool = True,
    workers: int = 4,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    progress: Progress = lambda text, done: None,
) -> Answered:
    """Return the examples that the model's answers make, and why the others were dropped.

    Answers are kept in ``folder``: the same call goes on where an earlier one was killed, and asks
    nothing twice. Questions that were not asked yet (a budget was used up) are in neither.

    :raises EndpointError: the endpoint refuses or is gone; what came is kept.
    """
    work = _Work(endpoint, folder, workers, budget, progress)
    jobs = {
        qid: Job(
            key=qid, messages=ask_answer(one.question, list(one.oracle.values())), schema=SCHEMA
        )
        for qid, one in asked.items()
    }
    told, outcome = work.ask("answers", jobs, answer_in)
    examples: dict[str, Example] = {}
    dropped: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    for qid, made in told.items():
        one = asked[qid]
        example, why = example_of(one.question, list(one.oracle), list(one.oracle.values()), made)
        if example is None:
            dropped[why] += 1
        else:
            examples[qid] = example
    if judged:
        examples, worse = _judged(work, examples, outcome)
        dropped["judge"] += worse
    return Answered(examples=examples, dropped=dict(dropped), outcome=outcome)


def _judged(
    work: _Work, examples: Mapping[str, Example], outcome: Outcome
) -> tuple[dict[str, Example], int]:
    """Return what the judge lets pass; an answer without a verdict passes, as with questions."""
    work.endpoint.temperature = 0.0
    jobs = {}
    for qid, one in examples.items():
        messages = ask_judge(one)
        key = f"{qid} {_digest(messages[1]['content'])}"
        jobs[key] = Job(key=key, messages=messages, schema=JUDGE_SCHEMA)
    told, took = work.ask("verdicts", jobs, verdict_in)
    outcome.tokens += took.tokens
    outcome.failed += took.failed
    outcome.stopped = outcome.stopped or took.stopped
    kept = {
        qid: example
        for (qid, example), key in zip(examples.items(), jobs, strict=True)
        if _passes(told.get(key))
    }
    return kept, len(examples) - len(kept)


def _passes(verdict: Mapping[str, object] | None) -> bool:
    if verdict is None:
        return True
    return bool(verdict["answerable"]) and float(str(verdict["score"])) >= LEAST_SCORE


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Work:
    """One run: whom to ask, how, and where answers are kept."""

    endpoint: Endpoint
    folder: Path
    workers: int
    budget: Budget
    progress: Progress

    def ask(
        self,
        what: str,
        jobs: Mapping[str, Job],
        parse: Callable[[str], Mapping[str, object] | None],
    ) -> tuple[dict[str, Mapping[str, object] | None], Outcome]:
        """Return what ``parse`` made of each answer (None: unusable), of those that were asked."""
        header = {"asked": what, "id": self._id(what, jobs)}
        path = self.folder / f"{what}-{header['id'][:16]}.jsonl"
        with Journal(path, header) as journal:
            outcome = ask_all(
                self.endpoint,
                list(jobs.values()),
                journal,
                parse,
                workers=self.workers,
                budget=self.budget,
                progress=self.progress,
            )
            found = {key: journal.get(key)["made"] for key in jobs if key in journal}
        return {key: made if isinstance(made, dict) else None for key, made in found.items()}, (
            outcome
        )

    def _id(self, what: str, jobs: Mapping[str, Job]) -> str:
        """Return what the answers depend on; the address is not part of it.

        A verdict's key says what it is about, and the questions of verdicts change as answers come:
        so their journal goes by the settings alone.
        """
        one = self.endpoint
        told: list[object] = [one.model, one.temperature, one.max_tokens, one.seed, prompt_id()]
        if what == "answers":
            told += [[key, list(job.messages)] for key, job in jobs.items()]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
