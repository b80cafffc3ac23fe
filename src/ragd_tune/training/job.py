"""A run in progress: what happens before the first step, after each one, and at a stop."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Protocol

from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Estimate, Event, ModelFacts, Stop, TrainPlan, TrainResult
from ragd_tune.training import best, bounds, checkpoints, memory
from ragd_tune.training.checkpoints import Progress
from ragd_tune.training.course import Course, dev_points, held_out

LOSSES = 1000

StepDone = Callable[[int, float, int], bool]
"""Called with the step (from 1), its loss and its rows; returns True to end the run there."""


class Trainer(Protocol):
    """What takes the steps: the part of a training that a framework does."""

    def run(self, batches: Iterator[list[int]], *, start: int, steps: int, done: StepDone) -> None:
        """Take one step for each of ``batches``: those from ``start`` of ``steps`` in all.

        ``done`` is called after each, and may end the run before ``steps``. Random numbers start
        from the plan's seed, or go on where :meth:`restore` left them.
        """
        ...

    def held_out(self, batches: Sequence[Sequence[int]]) -> float:
        """Return the mean loss over batches of held-out rows, without dropout."""
        ...

    def save(self, folder: Path) -> None:
        """Write weights, optimizer and random state into ``folder``."""
        ...

    def restore(self, folder: Path) -> None:
        """Read what :meth:`save` wrote; change nothing if it cannot be read."""
        ...


def is_told(step: int, steps: int) -> bool:
    """Say whether the result lists the loss of ``step``: at most 1,000 are, the last included."""
    return step == steps or (step - 1) % math.ceil(steps / (LOSSES - 2)) == 0


@dataclass(kw_only=True)
class Job:
    """All steps of one training, from the last whole checkpoint on if there is one."""

    plan: TrainPlan
    rows: Rows
    emit: Emit
    steps: int
    trainer: Trainer
    progress: Progress = field(default_factory=Progress)
    resumed_from: int = 0
    _kept: int = -1
    _rows_here: int = 0
    _seconds_before: float = 0.0

    def run(self) -> None:
        """Take the steps that are left."""
        plan = self.plan
        self.progress = checkpoints.last(plan, self.trainer.restore) or Progress()
        self.resumed_from = start = self.progress.step
        self._seconds_before = self.progress.seconds
        self._allowed = bounds.allowed(plan, resumed=start > 0)
        dev = held_out(plan, self.rows.dev)
        self._points, size = dev_points(self.steps, len(dev), best.looks(plan, self.steps))
        self._dev = dev[:size]
        self._started = self._last_kept = time.perf_counter()
        note = f"resumed after step {start}" if start else ""
        self.emit(Event(type="start", step=start, steps=self.steps, message=note))
        if start < self.steps:
            batches = Course.of(plan, self.rows.train).between(start, self.steps)
            self.trainer.run(batches, start=start, steps=self.horizon, done=self._after)
        if best.keeps(plan):
            self._go_back()

    def _go_back(self) -> None:
        """Take the weights of the lowest held-out loss; from then on they are the run's last."""
        note = self._best.back(self.progress.dev_losses)
        if note:
            self.emit(Event(type="log", step=self.progress.step, steps=self.steps, message=note))
            self.progress.step = best.lowest(self.progress.dev_losses)[0]

    @property
    def horizon(self) -> int:
        """The steps that the learning rate's schedule is made for: at least those to be taken."""
        wanted = self.plan.options.get("schedule_steps")
        return max(self.steps, wanted) if isinstance(wanted, int) else self.steps

    def elapsed(self) -> float:
        """Return the seconds of training, those before an interruption included."""
        return self._seconds_before + time.perf_counter() - self._started

    @property
    def _best(self) -> best.Best:
        return best.Best(plan=self.plan, trainer=self.trainer)

    def result(
        self,
        *,
        format: str,
        facts: ModelFacts,
        estimate: Estimate | None,
        libraries: Iterable[str],
        peak: int = 0,
    ) -> TrainResult:
        """Say that the run is done, and return what there is to know of it.

        :param libraries: distributions that took part; their versions are told.
        :param peak: bytes that a framework knows of beside this process's resident memory.
        """
        seconds, progress = self.elapsed(), self.progress
        self.emit(Event(type="done", step=progress.step, steps=progress.step, seconds=seconds))
        return TrainResult(
            format=format,
            steps=progress.step,
            seconds=seconds,
            peak_bytes=max(memory.peak_bytes(), peak),
            losses=tuple(progress.losses),
            dev_losses=tuple(progress.dev_losses),
            estimate=estimate,
            resumed_from=self.resumed_from,
            schedule_steps=self.horizon,
            rows_seen=progress.rows_seen,
            facts=facts,
            versions={name: metadata.version(name) for name in libraries},
        )

    def _after(self, step: int, value: float, rows: int) -> bool:
        """Take note of a step; return whether it is the last."""
        progress = self.progress
        progress.step = step
        progress.rows_seen += rows
        self._rows_here += rows
        over = self._allowed is not None and self.elapsed() >= self._allowed
        if step in self._points:
            over |= self._look(step)
        if over or is_told(step, self.steps):
            progress.losses.append((step, value))
        if self._is_due(step):
            self._keep()
        self._tell(step, value)
        return over or step == self.steps

    def _look(self, step: int) -> bool:
        """Look at the held-out loss; return whether it says to stop."""
        value, curve = self.trainer.held_out(self._dev), self.progress.dev_losses
        curve.append((step, value))
        self.emit(Event(type="dev", step=step, steps=self.steps, loss=value))
        if not best.keeps(self.plan):
            return False
        if best.lowest(curve)[0] == step and step < self.steps:
            self._best.keep(step)
        return best.wanted(self.plan) and best.is_over(curve)

    def _is_due(self, step: int) -> bool:
        if step >= self.steps:
            return False
        every = self.plan.options["checkpoint_steps"]
        if isinstance(every, int):
            return step % every == 0
        waited = time.perf_counter() - self._last_kept
        return waited >= self.plan.number("checkpoint_minutes") * 60

    def _keep(self) -> None:
        """Keep a checkpoint and say so."""
        progress = self.progress
        progress.seconds = self.elapsed()
        checkpoints.write(self.plan, progress, self.trainer.save)
        self._last_kept = time.perf_counter()
        self._kept = progress.step
        self.emit(Event(type="checkpoint", step=self._kept, steps=self.steps))

    def _tell(self, step: int, value: float) -> None:
        """Report a step; where the answer is to stop, keep a checkpoint first."""
        here = max(time.perf_counter() - self._started, 1e-9)
        event = Event(
            type="step",
            step=step,
            steps=self.steps,
            loss=value,
            rows_per_second=self._rows_here / here,
            seconds=self.elapsed(),
            seconds_left=here / (step - self.resumed_from) * (self.steps - step),
        )
        try:
            self.emit(event)
        except Stop:
            if self._kept != step:
                with contextlib.suppress(Stop):
                    self._keep()
            raise
