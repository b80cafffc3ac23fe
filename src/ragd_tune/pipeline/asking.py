"""Questions by a language model: find the endpoint, ask it, judge, filter, write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.model import Question
from ragd_tune.data.generate.model_made import generate_by_model, judge
from ragd_tune.data.generate.prompts import prompt_id
from ragd_tune.data.llm import Budget, Endpoint, EndpointError, Keeper, Outcome
from ragd_tune.data.llm.endpoint import DEFAULT, KEY
from ragd_tune.errors import DataError, NotInstalledError
from ragd_tune.pipeline.generating import Generated, Generation, Judge, finish, read_passages, ready
from ragd_tune.pipeline.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Whom to ask, and how. ``model`` None takes the first that the endpoint offers."""

    url: str = DEFAULT
    model: str | None = None
    allow_remote: bool = False
    workers: int = 4
    timeout: float = 300.0
    retries: int = 5
    pause: float = 1.0
    temperature: float = 0.7
    judged: bool = True
    budget: Budget = field(default_factory=Budget)


def connect(asking: Asking, *, seed: int) -> Endpoint:
    """Return an endpoint that answers, with the model that it will be asked for.

    :raises UsageError: it is on another machine, and that was not allowed.
    :raises NotInstalledError: nothing answers there, or it has no such model.
    """
    return _answering(_permitted(asking, seed), asking)


def _permitted(asking: Asking, seed: int) -> Endpoint:
    """Return the endpoint, of which nothing was asked yet; its address is allowed.

    The key comes from the environment variable ``RAGD_TUNE_API_KEY``, which no list of processes
    shows.
    """
    endpoint = Endpoint(
        url=asking.url,
        model=asking.model or "",
        key=os.environ.get(KEY, ""),
        allow_remote=asking.allow_remote,
        timeout=asking.timeout,
        retries=asking.retries,
        pause=asking.pause,
        temperature=asking.temperature,
        seed=seed,
    )
    _ = endpoint.address
    return endpoint


def _answering(endpoint: Endpoint, asking: Asking, *otherwise: str) -> Endpoint:
    """Return ``endpoint`` with its model, if it answers; ``otherwise`` are ways to do without."""
    try:
        offered = endpoint.models()
    except EndpointError as error:
        if not error.answered:
            ways = ("start one (for example: ollama serve)", "name another with --endpoint")
            raise NotInstalledError(
                f"no language model answers at {asking.url} ({error.message})",
                mend=", or ".join((*ways, *otherwise)),
            ) from error
        if not asking.model:
            raise NotInstalledError(
                f"it is not said which models there are ({error.message})",
                mend="name one with --model",
            ) from error
        return endpoint  # some servers list no models, and answer all the same
    if not asking.model:
        if not offered:
            raise NotInstalledError(f"{asking.url} offers no model", mend="name one with --model")
        endpoint.model = offered[0]
    return endpoint


def generate_with_model(shop: Workshop, asked: Generation, asking: Asking) -> Generated:
    """Make a data set of ``asked.documents`` by a language model, write it, and return it.

    What is answered is kept under the store's ``runs/asking``: after a crash, or a budget that was
    used up, the same command goes on and asks nothing twice.

    :raises DataError: no document can be read, or too little came of them.
    :raises UsageError: the endpoint is on another machine, or a name is unknown.
    :raises NotInstalledError: nothing answers there.
    :raises EndpointError: it refuses, or is gone in the middle.
    """
    permitted = _permitted(asking, asked.seed)
    ready(asked)  # a slip in a path is told before anything is said of a missing model
    without = "make questions without one: --generator headings"
    endpoint = _answering(permitted, asking, without)
    library, chunks, notes = read_passages(shop, asked)
    keeper = keeper_of(shop, endpoint, asking)
    made, told = generate_by_model(chunks, keeper, per_chunk=asked.per_chunk)
    notes += _notes(told, len(chunks))
    if not made:
        raise DataError(
            f"{endpoint.model} wrote no usable question for {len(chunks)} passages",
            mend="take a larger model, or --generator headings",
        )
    about = {
        "generator": {
            "name": "llm",
            "model": endpoint.model,
            "prompt": prompt_id(),
            "temperature": endpoint.temperature,
            "per_chunk": asked.per_chunk,
            "tokens": asked.tokens,
            "base": asked.base,
        }
    }
    judging = _judge(chunks, keeper, notes) if asking.judged else None
    return finish(shop, asked, library, chunks, made, notes, about=about, judge=judging)


def _notes(told: Outcome, passages: int) -> list[str]:
    notes = []
    if told.stopped:
        done = told.asked + told.known
        notes.append(f"{told.stopped}: {done} of {passages} passages have questions")
    if told.failed:
        notes.append(f"{len(told.failed)} requests failed; the same command asks them again")
    if told.unusable:
        notes.append(f"{told.unusable} answers held no questions that could be read")
    return notes


def _judge(chunks: Sequence[Chunk], keeper: Keeper, notes: list[str]) -> Judge:
    """Return what judges questions; ``notes`` gets how many it could not, which stay."""

    def judging(rows: Sequence[Question]) -> tuple[list[Question], dict[int, str]]:
        scored, why, told = judge(rows, chunks, keeper)
        left = sum(one.score is None for one in scored)
        if left:
            failed = f"{len(told.failed)} requests failed" if told.failed else "no verdict to read"
            reason = told.stopped or failed
            notes.append(f"{left} of {len(rows)} questions stay without a judge's look: {reason}")
        return scored, why

    return judging


def keeper_of(shop: Workshop, endpoint: Endpoint, asking: Asking) -> Keeper:
    """Return who asks ``endpoint`` and keeps its answers, under the store's ``runs/asking``."""
    return Keeper(
        endpoint=endpoint,
        folder=shop.store.runs / "asking",
        workers=asking.workers,
        budget=asking.budget,
        cluster=shop.cluster,
        progress=shop.progress,
    )
