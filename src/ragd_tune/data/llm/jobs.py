"""Many requests at once: journalled as they come, within a budget, in an order that is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

from ragd_tune.data.journal import Journal
from ragd_tune.data.llm.endpoint import Endpoint, EndpointError, Messages

Parsed = TypeVar("Parsed")

MOST_FAILURES = 8
"""Requests in a row that may fail before the endpoint is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request. ``key`` names it in the journal, ``schema`` is a JSON schema to ask for."""

    key: str
    messages: Messages
    schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may take: tokens in all, and seconds; None is without end."""

    tokens: int | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Outcome:
    """What a run did. ``stopped`` says why it ended early; empty if it did all."""

    asked: int = 0
    known: int = 0
    tokens: int = 0
    unusable: int = 0
    failed: list[str] = field(default_factory=list)
    stopped: str = ""

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return {
            "asked": self.asked,
            "known": self.known,
            "tokens": self.tokens,
            "unusable": self.unusable,
            "failed": self.failed[:20],
            "stopped": self.stopped,
        }


def ask_all(
    endpoint: Endpoint,
    jobs: Sequence[Job],
    journal: Journal,
    parse: Callable[[str], Sequence[object] | Mapping[str, object] | None],
    *,
    workers: int = 4,
    budget: Budget = Budget(),
    progress: Callable[[str, float], None] = lambda text, done: None,
) -> Outcome:
    """Ask every job that is not in ``journal`` yet, and write each answer to it as it comes.

    A row holds what ``parse`` made of the answer, or None where it is unusable: the endpoint is
    then asked once more, and never again. A request that failed is not written, so that the next
    run asks it again. A killed run loses the requests in flight.

    :raises EndpointError: the endpoint refuses, or so many requests in a row failed that it is
        gone; what came is in the journal.
    """
    told = Outcome(known=sum(job.key in journal for job in jobs))
    left = [job for job in jobs if job.key not in journal]
    clock = _Clock(budget, len(left))
    failures = 0
    pending: dict[Future[tuple[object, str, int]], Job] = {}
    queue = iter(left)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            while True:
                told.stopped = clock.spent(told.tokens)
                if not told.stopped:
                    pending |= _submit(pool, queue, endpoint, parse, workers - len(pending))
                if not pending:
                    break
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    failures = _take(future, pending.pop(future), journal, told, failures)
                progress(clock.say(told), (told.known + told.asked) / max(1, len(jobs)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return told


def _submit(
    pool: ThreadPoolExecutor,
    queue: Iterator[Job],
    endpoint: Endpoint,
    parse: Callable[[str], object],
    room: int,
) -> dict[Future[tuple[object, str, int]], Job]:
    made = {}
    for _, job in zip(range(room), queue, strict=False):
        made[pool.submit(_ask, endpoint, job, parse)] = job
    return made


def _ask(endpoint: Endpoint, job: Job, parse: Callable[[str], object]) -> tuple[object, str, int]:
    """Return what was parsed, the answer where nothing could be, and the tokens."""
    answer = endpoint.ask(job.messages, schema=job.schema)
    made, tokens = parse(answer.text), answer.tokens
    if made is None:
        more = {"role": "user", "content": "Answer with the JSON object only, as described."}
        said = {"role": "assistant", "content": answer.text[:2000]}
        answer = endpoint.ask([*job.messages, said, more], schema=job.schema)
        made, tokens = parse(answer.text), tokens + answer.tokens
    return made, "" if made is not None else answer.text[:500], tokens


def _take(
    future: Future[tuple[object, str, int]],
    job: Job,
    journal: Journal,
    told: Outcome,
    failures: int,
) -> int:
    """Journal one answer; return how many requests in a row have failed."""
    try:
        made, said, tokens = future.result()
    except EndpointError as error:
        told.failed.append(f"{job.key}: {error.message}")
        if error.fatal or failures + 1 >= MOST_FAILURES:
            mend = error.mend or "start it again and run the same command: what came is kept"
            raise EndpointError(error.message, mend=mend, fatal=True) from error
        return failures + 1
    journal.add(job.key, {"made": made, "tokens": tokens, **({"said": said} if said else {})})
    told.asked += 1
    told.tokens += tokens
    told.unusable += made is None
    return 0


class _Clock:
    """Keeps a budget, and says how long the rest will take."""

    def __init__(self, budget: Budget, jobs: int) -> None:
        self._budget, self._jobs = budget, jobs
        self._start = time.monotonic()

    def spent(self, tokens: int) -> str:
        """Return why to stop; empty while there is something left."""
        limit, seconds = self._budget.tokens, self._budget.seconds
        if limit is not None and tokens >= limit:
            return f"the budget of {limit:,} tokens is used up"
        if seconds is not None and time.monotonic() - self._start >= seconds:
            return f"the budget of {seconds / 60:g} minutes is used up"
        return ""

    def say(self, told: Outcome) -> str:
        """Return a line for people."""
        if not told.asked:
            return "asking the model"
        each = (time.monotonic() - self._start) / told.asked
        left = each * (self._jobs - told.asked)
        return f"asking the model: {told.asked} of {self._jobs}, about {left / 60:.0f} min left"
