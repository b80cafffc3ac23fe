"""The trials of a search: trained and judged by the pipeline, in a store of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ragd_tune.autotune.attempts import Attempt, Proposal, best
from ragd_tune.autotune.study import Study
from ragd_tune.backends import Precision
from ragd_tune.errors import InterruptedRunError, NotInstalledError, TuneError, UsageError
from ragd_tune.options import Value
from ragd_tune.pipeline.planning import Planned, Request, plan
from ragd_tune.pipeline.proving import prove
from ragd_tune.pipeline.training import checkpoints, train
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.store import Store

SPLIT = "dev"
"""Trials are never compared on another one."""

TRIALS = 20
"""Trials where the user bounds neither their number nor the time."""

HOPELESS = 3
"""Trials that may fail from the first on, before the search ends with the last one's error."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What the user asked for: of which training, how many trials or minutes, which options.

    ``trials`` counts all of a search, those of earlier calls included; so does ``minutes``.
    """

    request: Request
    trials: int | None = None
    minutes: float | None = None
    only: tuple[str, ...] = ()
    precision: Precision = "auto"

    @property
    def most(self) -> int | None:
        """How many trials to make; None where time alone bounds them."""
        return TRIALS if self.trials is None and self.minutes is None else self.trials


@dataclass(slots=True, kw_only=True)
class Searching:
    """A search of ``planned`` (the defaults) under way in ``folder``, told of by ``say``."""

    shop: Workshop
    asked: Search
    planned: Planned
    folder: Path
    study: Study
    say: Say

    def run(self) -> str:
        """Make the trials that are missing; return why there are no more."""
        while not (over := self._over()):
            proposal = self.study.propose()
            if proposal is None:
                return "every combination that was drawn had been tried"
            self.say(f"trial {proposal.number + 1}{self._of()}: {told(proposal.options)}")
            attempt = self._attempt(proposal)
            self.study.keep(proposal, attempt)
            self._tell(attempt)
        return over

    def _of(self) -> str:
        return f" of {self.asked.most}" if self.asked.most else ""

    def _over(self) -> str:
        """Return why no other trial is begun; empty if one is."""
        done = self.study.attempts
        if len(done) >= HOPELESS and not any(one.score is not None for one in done):
            raise TuneError(
                f"the first {len(done)} trials all failed; the last one: {done[-1].failure}",
                mend="see whether `ragd-tune train` works with these options",
            )
        if self.asked.most is not None and len(done) >= self.asked.most:
            return f"{len(done)} trials were asked for"
        if self.asked.minutes is None or not done:
            return ""
        left = 60 * self.asked.minutes - sum(one.seconds for one in done)
        needed = sum(one.seconds for one in done) / len(done)
        if left >= needed:
            return ""
        return f"a trial takes about {needed:.0f} s, and {max(left, 0):.0f} s are left"

    def _attempt(self, proposal: Proposal) -> Attempt:
        """Train and judge by dev; a trial that fails is one that says why.

        :raises InterruptedRunError: Ctrl-C: the trial is not over.
        """
        begun = time.perf_counter()
        options = proposal.options
        try:
            score, base, queries = self._judged(options)
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"the search was stopped in trial {proposal.number + 1}; "
                f"{len(self.study.attempts)} trials are kept",
                mend="run the same command again to go on",
            ) from error
        except (UsageError, NotInstalledError):
            raise  # no other trial could do better
        except TuneError as error:
            seconds = time.perf_counter() - begun
            failure = " ".join(error.message.split())
            return Attempt(
                number=proposal.number, options=options, seconds=seconds, failure=failure
            )
        return Attempt(
            number=proposal.number,
            options=options,
            score=score,
            base=base,
            seconds=time.perf_counter() - begun,
            queries=queries,
        )

    def _judged(self, options: Mapping[str, float]) -> tuple[float, float, dict[str, float]]:
        """Return the score on dev, the incumbent's, and the scores of each query."""
        request = self.asked.request
        given: dict[str, object] = {**request.given, **with_scale(self.planned, options)}
        planned = plan(self.shop, replace(request, given=given))
        own = replace(self.shop, store=Store(self.folder / "store"))
        run = own.store.runs / planned.plan.id[:16]
        planned = replace(planned, plan=replace(planned.plan, out=run / "out"))
        id_ = _trained(own.store, planned.plan.id)
        if id_ is None:
            going_on = bool(checkpoints(run))
            id_ = train(own, planned, resume=going_on, python=request.python).id
        report = prove(
            own,
            id_,
            planned.data,
            split=SPLIT,
            base=planned.plan.base,
            options=planned.judging,
            named=self.shop.store,
            precision=self.asked.precision,
        ).report
        own.store.remove(id_)  # twenty whole models would fill a disk
        return report.gate.after, report.gate.before, {one.id: one.after for one in report.queries}

    def _tell(self, attempt: Attempt) -> None:
        name = f"trial {attempt.number + 1}"
        if attempt.score is None:
            self.say(f"{name} failed: {attempt.failure}")
            return
        top = best(self.study.attempts)
        assert top is not None
        self.say(
            f"{name}: {self.planned.kind.gate_metric} {attempt.score:.4f} on {SPLIT}, in "
            f"{attempt.seconds:.0f} s; best so far: trial {top.number + 1}, {top.score:.4f}"
        )


def told(options: Mapping[str, float]) -> str:
    """Return options as a person would write them."""
    return ", ".join(f"{name} {value:g}" for name, value in options.items())


def with_scale(planned: Planned, options: Mapping[str, float]) -> dict[str, Value]:
    """Return ``options``, and LoRA's alpha in proportion where the rank is searched.

    Updates are multiplied by alpha / rank: with a fixed alpha, a higher rank would learn more
    slowly, and rank and rate could not be told apart.
    """
    made: dict[str, Value] = dict(options)
    alpha = planned.settings.get("lora_alpha")
    rank = options.get("lora_rank")
    if rank is not None and alpha is not None and alpha.source in {"default", "kind"}:
        share = float(str(alpha.value)) / float(str(planned.settings["lora_rank"].value))
        made["lora_alpha"] = share * rank
    return made


def _trained(store: Store, plan_id: str) -> str | None:
    """Return the adapter of a trial that was interrupted while it was judged."""
    for entry in store.list():
        if any(one.payload.get("plan_id") == plan_id for one in store.records(entry.id)):
            return entry.id
    return None
