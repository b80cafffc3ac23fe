"""One training from plan to weights."""

from __future__ import annotations

import math
import shutil
from importlib import metadata

import torch

from ragd_tune.errors import UsageError
from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Estimate, Event, TrainPlan, TrainResult
from ragd_tune.training import measured, memory
from ragd_tune.training.course import is_timed
from ragd_tune.training.job import Job
from ragd_tune_unsloth.session import fits, quiet, repeatable
from ragd_tune_unsloth.trainer import Task, Trainer, diverged, trained

LIBRARIES = ("torch", "unsloth", "unsloth-zoo", "transformers", "peft", "ragd-tune-unsloth")


def task_of(plan: TrainPlan) -> Task:
    """Load the base and put in what the plan tunes.

    :raises UsageError: Unsloth does not train this objective; names who does.
    """
    if plan.objective == "contrastive":
        from ragd_tune_unsloth.contrastive import Contrastive

        return Contrastive(plan)
    raise UsageError(
        f"Unsloth does not train the objective {plan.objective}",
        mend="the backend cpu trains rerankers: --backend cpu",
    )


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_train``."""
    with quiet(), repeatable(), fits(plan):
        steps, estimate = _steps(plan, rows, emit)
        emit(Event(type="load", message=plan.base.name))
        task = task_of(plan)
        job = Job(plan=plan, rows=rows, emit=emit, steps=steps, trainer=Trainer(plan, rows, task))
        job.run()
        _write(plan, task, job.progress.step)
    seconds, progress = job.elapsed(), job.progress
    emit(Event(type="done", step=progress.step, steps=progress.step, seconds=seconds))
    return TrainResult(
        format="peft",
        steps=progress.step,
        seconds=seconds,
        peak_bytes=memory.peak_bytes(),
        losses=tuple(progress.losses),
        dev_losses=tuple(progress.dev_losses),
        estimate=estimate,
        resumed_from=job.resumed_from,
        rows_seen=progress.rows_seen,
        facts=task.facts,
        versions={name: metadata.version(name) for name in LIBRARIES},
    )


def _steps(plan: TrainPlan, rows: Rows, emit: Emit) -> tuple[int, Estimate | None]:
    """Return how many steps to take, and the estimate if there is one.

    A run bounded by time is measured once and keeps that number: a resumed run must not change
    its learning rate's schedule.
    """
    known = measured.recall(plan)
    if known is None and is_timed(plan) and measured.kept_steps(plan) is None:
        from ragd_tune_unsloth.estimate import estimate

        known = estimate(plan, rows)
        emit(Event(type="estimate", steps=known.steps, estimate=known))
    steps = measured.steps(plan, rows, known)
    if is_timed(plan):
        measured.keep_steps(plan, steps)
    return steps, known


def _write(plan: TrainPlan, task: Task, step: int) -> None:
    """Write the weights aside and move them to ``plan.out`` whole.

    :raises TrainingDivergedError: the last step left a weight that is no number.
    """
    for parameter in trained(task.model).values():
        if not bool(torch.isfinite(parameter).all()):
            raise diverged(step, math.nan, plan.number("learning_rate"))
    part = plan.out.with_name(f"{plan.out.name}.part")
    for place in (part, plan.out):
        shutil.rmtree(place, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    task.save(part)
    part.replace(plan.out)
