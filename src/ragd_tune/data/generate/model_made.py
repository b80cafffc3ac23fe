"""Questions by a language model: one request a passage, journalled, and judged if wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data.chunk import Chunk
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
from ragd_tune.data.generate.recipes import drawn
from ragd_tune.data.llm import Budget, Endpoint, Job, Keeper, Outcome

if TYPE_CHECKING:
    from ragd_tune.data.cluster import Cluster

LEAST_SCORE = 6
"""Of a judge's 1 to 10; below, a question is dropped."""

Progress = Callable[[str, float], None]


def generate_by_model(
    chunks: Sequence[Chunk],
    endpoint: Endpoint,
    folder: Path,
    *,
    per_chunk: int,
    workers: int = 4,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    cluster: Cluster | None = None,
    progress: Progress = lambda text, done: None,
) -> tuple[list[Question], Outcome]:
    """Return the questions that the model wrote, in the order of ``chunks``, and what it took.

    Answers are kept in ``folder``: the same call goes on where an earlier one was killed, and asks
    nothing twice. The order in which answers come does not matter.

    :raises EndpointError: the endpoint refuses or is gone; what came is kept.
    """
    jobs = {
        one.id: Job(key=one.id, messages=ask_for(one, styles(one, per_chunk)), schema=SCHEMA)
        for one in chunks
    }
    keeper = Keeper(
        endpoint=endpoint,
        folder=folder,
        workers=workers,
        budget=budget,
        cluster=cluster,
        progress=progress,
    )
    on = [_settings(keeper), per_chunk, [chunk.place() for chunk in chunks]]
    digest = _digest(on, [chunk.text for chunk in chunks])
    told, outcome = keeper.ask("questions", digest, jobs, questions_in)
    made = [
        Question(
            chunk=chunk.id,
            text=str(text),
            style=str(style),
            generator="llm",
            model=endpoint.model,
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
    endpoint: Endpoint,
    folder: Path,
    *,
    workers: int = 4,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    cluster: Cluster | None = None,
    progress: Progress = lambda text, done: None,
) -> tuple[list[Question], dict[int, str], Outcome]:
    """Return the questions with a judge's scores, those to drop with the reason, and what it took.

    A question that was not judged (the budget ended, or the answer was unusable) is kept.
    """
    known = {chunk.id: chunk for chunk in chunks}
    cold = replace(endpoint, temperature=0.0, max_tokens=256, _address=endpoint.address)
    keys = [_digest([one.chunk, one.text], [known[one.chunk].text]) for one in questions]
    jobs = {
        key: Job(key=key, messages=ask_judge(known[one.chunk], one.text), schema=JUDGE_SCHEMA)
        for key, one in zip(keys, questions, strict=True)
    }
    keeper = Keeper(
        endpoint=cold,
        folder=folder,
        workers=workers,
        budget=budget,
        cluster=cluster,
        progress=progress,
    )
    found, outcome = keeper.ask("judge", _digest([_settings(keeper)], []), jobs, verdict_in)
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


def _settings(keeper: Keeper) -> list[object]:
    return [*keeper.settings, prompt_id()]


def _digest(told: object, texts: Sequence[str]) -> str:
    sha = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for text in texts:
        sha.update(hashlib.sha256(text.encode()).digest())
    return sha.hexdigest()
