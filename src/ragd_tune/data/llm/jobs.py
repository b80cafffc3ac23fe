"""Many requests at once: journalled as they come, within a budget, in an order that is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from ragd_tune.data.journal import Journal
from ragd_tune.data.llm.endpoint import Endpoint, EndpointError, Messages

Parse = Callable[[str], Sequence[object] | Mapping[str, object] | None]
"""An answer to what it says; None where that cannot be read."""

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
    """What a round of requests may take, tokens in all and seconds; None is without end.

    Who asks and who judges the answers are two rounds.
    """

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
    in_a_row: int = 0
    """Failures since the last answer."""

    def cost(self, other: Outcome) -> None:
        """Count what a further round over the same work took: a judge's, after the writer's."""
        self.tokens += other.tokens
        self.failed += other.failed
        self.stopped = self.stopped or other.stopped

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
    parse: Parse,
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
    clock = Clock(budget, len(left))
    pending: dict[Future[Answered], Job] = {}
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
                    del pending[future]
                    take(future.result(), journal, told)
                progress(clock.say(told), (told.known + told.asked) / max(1, len(jobs)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return told


def _submit(
    pool: ThreadPoolExecutor,
    queue: Iterator[Job],
    endpoint: Endpoint,
    parse: Parse,
    room: int,
) -> dict[Future[Answered], Job]:
    made = {}
    for _, job in zip(range(room), queue, strict=False):
        made[pool.submit(ask_one, endpoint, job, parse)] = job
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a job: what was ``made`` of the answer, or the answer ``said``, or an ``error``.

    ``made`` is None where nothing could be read. ``fatal`` and ``mend`` are the error's.
    """

    key: str
    made: object = None
    said: str = ""
    tokens: int = 0
    error: str = ""
    mend: str = ""
    fatal: bool = False


def ask_one(endpoint: Endpoint, job: Job, parse: Parse) -> Answered:
    """Ask for one answer, and once more where nothing could be read; raises nothing."""
    try:
        answer = endpoint.ask(job.messages, schema=job.schema)
        made, tokens = parse(answer.text), answer.tokens
        if made is None:
            more = {"role": "user", "content": "Answer with the JSON object only, as described."}
            said = {"role": "assistant", "content": answer.text[:2000]}
            answer = endpoint.ask([*job.messages, said, more], schema=job.schema)
            made, tokens = parse(answer.text), tokens + answer.tokens
    except EndpointError as error:
        return Answered(key=job.key, error=error.message, mend=error.mend, fatal=error.fatal)
    said_ = "" if made is not None else answer.text[:500]
    return Answered(key=job.key, made=made, said=said_, tokens=tokens)


def take(answered: Answered, journal: Journal, told: Outcome) -> None:
    """Journal one answer.

    :raises EndpointError: it is an error that no other request will better, or one too many.
    """
    if answered.error:
        told.failed.append(f"{answered.key}: {answered.error}")
        told.in_a_row += 1
        if answered.fatal or told.in_a_row >= MOST_FAILURES:
            mend = answered.mend or "start it again and run the same command: what came is kept"
            raise EndpointError(answered.error, mend=mend, fatal=True)
        return
    said = {"said": answered.said} if answered.said else {}
    journal.add(answered.key, {"made": answered.made, "tokens": answered.tokens, **said})
    told.asked += 1
    told.tokens += answered.tokens
    told.unusable += answered.made is None
    told.in_a_row = 0


class Clock:
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
