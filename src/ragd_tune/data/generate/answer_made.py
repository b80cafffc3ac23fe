"""Examples for RAFT by a language model: one request a question, journalled, and judged."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

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
from ragd_tune.data.llm import Job, Keeper, Outcome
from ragd_tune.data.raft import Example


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
    keeper: Keeper,
    *,
    judged: bool = True,
) -> Answered:
    """Return the examples that the model's answers make, and why the others were dropped.

    The same call goes on where an earlier one was killed, and asks nothing twice. Questions that
    were not asked yet (a budget was used up) are in neither.

    :raises EndpointError: the endpoint refuses or is gone; what came is kept.
    """
    jobs = {
        qid: Job(
            key=qid, messages=ask_answer(one.question, list(one.oracle.values())), schema=SCHEMA
        )
        for qid, one in asked.items()
    }
    on = [[key, list(job.messages)] for key, job in jobs.items()]
    told, outcome = keeper.ask("answers", keeper.digest(prompt_id(), on), jobs, answer_in)
    examples: dict[str, Example] = {}
    dropped: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    for qid, made in told.items():
        one, said = asked[qid], made if isinstance(made, dict) else None
        example, why = example_of(one.question, list(one.oracle), list(one.oracle.values()), said)
        if example is None:
            dropped[why] += 1
        else:
            examples[qid] = example
    if judged:
        examples, worse = _judged(keeper, examples, outcome)
        dropped["judge"] += worse
    return Answered(examples=examples, dropped=dict(dropped), outcome=outcome)


def _judged(
    keeper: Keeper, examples: Mapping[str, Example], outcome: Outcome
) -> tuple[dict[str, Example], int]:
    """Return what the judge lets pass; an answer without a verdict passes, as with questions."""
    jobs = {}
    for qid, one in examples.items():
        messages = ask_judge(one)
        key = f"{qid} {_sha(messages[1]['content'])[:16]}"  # what it is about: answers change
        jobs[key] = Job(key=key, messages=messages, schema=JUDGE_SCHEMA)
    told, took = keeper.ask("verdicts", keeper.digest(prompt_id()), jobs, verdict_in)
    outcome.cost(took)
    kept = {
        qid: example
        for (qid, example), key in zip(examples.items(), jobs, strict=True)
        if _passes(told.get(key))
    }
    return kept, len(examples) - len(kept)


def _passes(verdict: object) -> bool:
    if not isinstance(verdict, dict):
        return True
    return bool(verdict["answerable"]) and float(str(verdict["score"])) >= LEAST_SCORE


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
