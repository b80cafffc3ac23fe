"""One training from plan to weights."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Event, ModelFacts, Stop, TrainPlan, TrainResult
from ragd_tune_cpu import checkpoints, folder, lora, loss, measured, memory
from ragd_tune_cpu.base import facts_of, load_folder
from ragd_tune_cpu.checkpoints import Progress
from ragd_tune_cpu.collate import Collator
from ragd_tune_cpu.loop import diverged, optimizer, run
from ragd_tune_cpu.session import (
    fits,
    quiet,
    random_state,
    repeatable,
    seed_everything,
    set_random_state,
)
from ragd_tune_cpu.steps import Course, dev_points, is_timed

LOSSES = 1000
LIBRARIES = ("torch", "sentence-transformers", "transformers", "peft", "ragd-tune-cpu")


@dataclass(kw_only=True)
class Trainee:
    """A model made ready for a plan, with everything that one step needs."""

    model: SentenceTransformer
    wrapped: Any
    facts: ModelFacts
    loss: torch.nn.Module
    adamw: torch.optim.Optimizer
    train: Collator
    dev: Collator


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes; new weights are drawn from its seed."""
    model = load_folder(plan.base.path, name=plan.base.name, device=plan.device)
    length = folder.cut(model, plan.integer("max_length"))
    facts = replace(
        facts_of(model),
        max_length=length,
        prompts=_prompts(plan, facts_of(model)),
        normalise=True,  # the objective is over cosines
        dimensions=loss.dimensions(model, plan),
    )
    loss.without_attention_dropout(model)
    seed_everything(plan.seed)
    wrapped = lora.add(model, plan) if plan.tuning == "lora" else None
    if wrapped is None:
        model.requires_grad_(True)
    negatives = plan.integer("negatives")
    train, dev = (
        Collator(model, part, facts=facts, negatives=negatives) for part in (rows.train, rows.dev)
    )
    return Trainee(
        model=model,
        wrapped=wrapped,
        facts=facts,
        loss=loss.contrastive(model, plan),
        adamw=optimizer(model, plan),
        train=train,
        dev=dev,
    )


def _prompts(plan: TrainPlan, facts: ModelFacts) -> dict[str, str]:
    """Return the prompts by role: the options', else the base's own; empty ones are left out."""
    found = dict(facts.prompts)
    for role in ("query", "document"):
        wanted = plan.options[f"{role}_prompt"]
        if isinstance(wanted, str):
            found[role] = wanted
    return {role: prompt for role, prompt in found.items() if prompt}


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_train``."""
    began = time.perf_counter()
    with quiet(), repeatable(), fits(plan):
        steps, estimate = _steps(plan, rows, emit)
        emit(Event(type="load", message=plan.base.name))
        trainee = prepare(plan, rows)
        job = _Job(plan=plan, rows=rows, emit=emit, steps=steps, trainee=trainee, began=began)
        job.run()
        _write(plan, trainee)
    seconds = job.elapsed()
    progress = job.progress
    emit(Event(type="done", step=progress.step, steps=progress.step, seconds=seconds))
    return TrainResult(
        format="peft" if plan.tuning == "lora" else "full",
        steps=progress.step,
        seconds=seconds,
        peak_bytes=memory.peak_bytes(),
        losses=tuple(thin(progress.losses)),
        dev_losses=tuple(progress.dev_losses),
        estimate=estimate,
        resumed_from=job.resumed_from,
        rows_seen=progress.rows_seen,
        facts=trainee.facts,
        versions={name: metadata.version(name) for name in LIBRARIES},
    )


def _steps(plan: TrainPlan, rows: Rows, emit: Emit) -> tuple[int, Any]:
    """Return how many steps to take, and the estimate if there is one.

    A run bounded by time is measured once and keeps that number: a resumed run must not change
    its learning rate's schedule.
    """
    known = measured.recall(plan)
    if known is None and is_timed(plan) and measured.kept_steps(plan) is None:
        from ragd_tune_cpu.estimate import estimate

        known = estimate(plan, rows)
        emit(Event(type="estimate", steps=known.steps, estimate=known))
    steps = measured.steps(plan, rows, known)
    if is_timed(plan):
        measured.keep_steps(plan, steps)
    return steps, known


def _write(plan: TrainPlan, trainee: Trainee) -> None:
    """Write the weights aside and move them to ``plan.out`` whole."""
    for name, parameter in checkpoints.trained(trainee.model).items():
        if not bool(torch.isfinite(parameter).all()):
            raise diverged(-1, float("nan"), plan.number("learning_rate")) from ValueError(name)
    part = plan.out.with_name(f"{plan.out.name}.part")
    for place in (part, plan.out):
        shutil.rmtree(place, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    if trainee.wrapped is not None:
        lora.save(trainee.wrapped, part, plan.base)
    else:
        folder.save(trainee.model, part, trainee.facts)
    part.replace(plan.out)


def thin(losses: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return at most 1,000 of the losses, evenly spaced, the last one included."""
    if len(losses) <= LOSSES:
        return list(losses)
    stride = -(-len(losses) // (LOSSES - 1))
    kept = list(losses[::stride])
    return kept if kept[-1] == losses[-1] else [*kept, losses[-1]]


@dataclass(kw_only=True)
class _Job:
    """The loop's memory: what happens after each step."""

    plan: TrainPlan
    rows: Rows
    emit: Emit
    steps: int
    trainee: Trainee
    began: float
    progress: Progress = field(default_factory=Progress)
    resumed_from: int = 0

    def run(self) -> None:
        plan, trainee = self.plan, self.trainee
        state = checkpoints.last(plan)
        if state is not None:
            self.progress = checkpoints.restore(state, trainee.model, trainee.adamw)
            self.resumed_from = self.progress.step
        course = Course.of(plan, self.rows.train)
        groups = course.between(self.progress.step, self.steps)
        self._sizes = {self.progress.step + 1 + i: len(group) for i, group in enumerate(groups)}
        dev = Course.of(plan, self.rows.dev).epoch(0) if len(self.rows.dev) > 1 else []
        self._points, size = dev_points(self.steps, len(dev))
        self._dev = dev[:size]
        self._before = self.progress.seconds
        self._last_kept = self._started = time.perf_counter()
        at = self.progress.step
        self.emit(Event(type="start", step=at, steps=self.steps, message=_resumed(at)))
        if not groups:
            return
        work = checkpoints.folder_of(plan)
        with loss.precision(trainee.model, plan):
            run(
                trainee.model,
                trainee.loss,
                plan,
                collate=trainee.train,
                groups=groups,
                adamw=trainee.adamw,
                start=at,
                steps=self.steps,
                work=work,
                before=lambda: self._random(state),
                done=self.after,
            )

    def _random(self, state: dict[str, Any] | None) -> None:
        """Start the random numbers of training, or go on with those of the checkpoint."""
        seed_everything(self.plan.seed)
        if state is not None:
            set_random_state(state["random"], self.plan.device)

    def elapsed(self) -> float:
        """Return the seconds of training, those before an interruption included."""
        return self._before + time.perf_counter() - self._started

    def after(self, step: int, value: float) -> bool:
        """Take note of a step; return whether the time is up."""
        progress = self.progress
        progress.step, progress.seconds = step, self.elapsed()
        progress.rows_seen += self._sizes[step]
        progress.losses.append((step, value))
        if step in self._points:
            self._look(step)
        if self._is_due(step):
            self.keep()
        self._tell(step, value)
        return self._is_over()

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

    def keep(self) -> None:
        """Keep a checkpoint and say so."""
        trainee = self.trainee
        self.progress.seconds = self.elapsed()
        checkpoints.write(
            self.plan, self.progress, trainee.model, trainee.adamw, random_state(self.plan.device)
        )
        self._last_kept = time.perf_counter()
        self._kept = self.progress.step
        self.emit(Event(type="checkpoint", step=self._kept, steps=self.steps))

    _kept = -1

    def _tell(self, step: int, value: float) -> None:
        here = time.perf_counter() - self._started
        taken = step - self.resumed_from
        event = Event(
            type="step",
            step=step,
            steps=self.steps,
            loss=value,
            rows_per_second=sum(self._sizes[s] for s in range(self.resumed_from + 1, step + 1))
            / max(here, 1e-9),
            seconds=self.elapsed(),
            seconds_left=here / taken * (self.steps - step),
        )
        try:
            self.emit(event)
        except Stop:
            if self._kept != step:
                with contextlib.suppress(Stop):
                    self.keep()
            raise

    def _is_over(self) -> bool:
        if not is_timed(self.plan):
            return False
        return self.elapsed() >= self.plan.number("minutes") * 60


def _resumed(step: int) -> str:
    return f"resumed after step {step}" if step else ""


def out_files(out: Path) -> list[Path]:
    """Return the files under ``out``, sorted."""
    return sorted(path for path in out.rglob("*") if path.is_file())
