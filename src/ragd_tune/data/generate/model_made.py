"""Questions by a language model: one request a passage, journalled, and judged if wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.drawn import drawn
from ragd_tune.data.generate.model import Question
from ragd_tune.data.generate.prompts import (
    JUDGE_SCHEMA,
    SCHEMA,
    STYLES,
    ask_for,
    ask_judge,
    prompt_id,
    questions_in,
    verdict_in,
)
from ragd_tune.data.llm import Job, Keeper, Outcome

LEAST_SCORE = 6
"""Of a judge's 1 to 10; below, a question is dropped."""


def generate_by_model(
    chunks: Sequence[Chunk],
    keeper: Keeper,
    *,
    per_chunk: int,
) -> tuple[list[Question], Outcome]:
    """Return the questions that the model wrote, in the order of ``chunks``, and what it took.

    The same call goes on where an earlier one was killed, and asks nothing twice.

    :raises EndpointError: the endpoint refuses or is gone; what came is kept.
    """
    jobs = {
        one.id: Job(key=one.id, messages=ask_for(one, styles(one, per_chunk)), schema=SCHEMA)
        for one in chunks
    }
    places = [chunk.place() for chunk in chunks]
    digest = keeper.digest(prompt_id(), per_chunk, places, [_sha(one.text) for one in chunks])
    told, outcome = keeper.ask("questions", digest, jobs, questions_in)
    made = [
        Question(
            chunk=chunk.id,
            text=str(text),
            style=str(style),
            generator="llm",
            model=keeper.endpoint.model,
            prompt=prompt_id(),
        )
        for chunk in chunks
        for style, text in _pairs(told.get(chunk.id))[:per_chunk]
    ]
    return made, outcome


def _pairs(made: object) -> list[tuple[object, object]]:
    rows = made if isinstance(made, list) else []
    return [(row[0], row[1]) for row in rows if isinstance(row, list) and len(row) == 2]


def styles(chunk: Chunk, count: int) -> list[str]:
    """Return ``count`` styles for a passage, in turn, beginning at one that its id decides."""
    names = list(STYLES)
    turn = drawn(f"style {chunk.id}", len(names))
    return [names[(turn + number) % len(names)] for number in range(count)]


def judge(
    questions: Sequence[Question],
    chunks: Sequence[Chunk],
    keeper: Keeper,
) -> tuple[list[Question], dict[int, str], Outcome]:
    """Return the questions with a judge's scores, those to drop with the reason, and what it took.

    A question that was not judged (the budget ended, or the answer was unusable) is kept.
    """
    known = {chunk.id: chunk for chunk in chunks}
    own = keeper.endpoint
    cold = replace(own, temperature=0.0, max_tokens=256, _address=own.address)
    keeper = replace(keeper, endpoint=cold)
    keys = [_sha(json.dumps([one.chunk, one.text, known[one.chunk].text])) for one in questions]
    jobs = {
        key: Job(key=key, messages=ask_judge(known[one.chunk], one.text), schema=JUDGE_SCHEMA)
        for key, one in zip(keys, questions, strict=True)
    }
    found, outcome = keeper.ask("judge", keeper.digest(prompt_id()), jobs, verdict_in)
    verdicts = [found.get(key) for key in keys]
    scored, dropped = [], {}
    for number, (one, told) in enumerate(zip(questions, verdicts, strict=True)):
        score = float(told["score"]) if isinstance(told, dict) else None
        scored.append(replace(one, score=score))
        if isinstance(told, dict) and not told["answerable"]:
            dropped[number] = "the judge says that the passage does not answer it"
        elif score is not None and score < LEAST_SCORE:
            dropped[number] = f"the judge gives it {score:g} of 10"
    return scored, dropped, outcome


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
