"""A run in progress: what happens before the first step, after each one, and at a stop."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, field
from typing import Any

from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Event, Stop, TrainPlan
from ragd_tune_cpu import checkpoints, loop, loss
from ragd_tune_cpu.checkpoints import Progress
from ragd_tune_cpu.prepare import Trainee
from ragd_tune_cpu.session import random_state, seed_everything, set_random_state
from ragd_tune_cpu.steps import Course, dev_points, is_timed

LOSSES = 1000


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
    trainee: Trainee
    progress: Progress = field(default_factory=Progress)
    resumed_from: int = 0
    _kept: int = -1
    _rows_here: int = 0
    _seconds_before: float = 0.0

    def run(self) -> None:
        """Take the steps that are left."""
        plan, trainee = self.plan, self.trainee
        state = checkpoints.last(plan)
        if state is not None:
            self.progress = checkpoints.restore(state, trainee.model, trainee.adamw)
        self.resumed_from = start = self.progress.step
        self._seconds_before = self.progress.seconds
        dev = Course.of(plan, self.rows.dev).epoch(0) if len(self.rows.dev) > 1 else []
        self._points, size = dev_points(self.steps, len(dev))
        self._dev = dev[:size]
        self._started = self._last_kept = time.perf_counter()
        note = f"resumed after step {start}" if start else ""
        self.emit(Event(type="start", step=start, steps=self.steps, message=note))
        if start < self.steps:
            with loss.precision(trainee.model, plan):
                self._loop(start, state)

    def _loop(self, start: int, state: dict[str, Any] | None) -> None:
        trainee = self.trainee
        course = Course.of(self.plan, self.rows.train)
        loop.run(
            trainee.model,
            trainee.loss,
            self.plan,
            collate=trainee.train,
            groups=loop.Batches(course.between(start, self.steps), self.steps - start),
            adamw=trainee.adamw,
            start=start,
            steps=self.steps,
            work=checkpoints.folder_of(self.plan),
            before=lambda: self._random(state),
            done=self._after,
        )

    def _random(self, state: dict[str, Any] | None) -> None:
        """Start the random numbers of training, or go on with those of the checkpoint."""
        seed_everything(self.plan.seed)
        if state is not None:
            set_random_state(state["random"], self.plan.device)

    def elapsed(self) -> float:
        """Return the seconds of training, those before an interruption included."""
        return self._seconds_before + time.perf_counter() - self._started

    def _after(self, step: int, value: float, rows: int) -> bool:
        """Take note of a step; return whether the time is up."""
        progress = self.progress
        progress.step = step
        progress.rows_seen += rows
        self._rows_here += rows
        over = is_timed(self.plan) and self.elapsed() >= self.plan.number("minutes") * 60
        if over or is_told(step, self.steps):
            progress.losses.append((step, value))
        if step in self._points:
            self._look(step)
        if self._is_due(step):
            self._keep()
        self._tell(step, value)
        return over

    def _look(self, step: int) -> None:
        trainee = self.trainee
        value = loss.held_out(trainee.loss, trainee.dev, self._dev, self.plan.device)
        self.progress.dev_losses.append((step, value))
        self.emit(Event(type="dev", step=step, steps=self.steps, loss=value))

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
        trainee, progress = self.trainee, self.progress
        progress.seconds = self.elapsed()
        random = random_state(self.plan.device)
        checkpoints.write(self.plan, progress, trainee.model, trainee.adamw, random)
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
