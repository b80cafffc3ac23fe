"""One training from plan to weights."""

from __future__ import annotations

import math
import shutil
from importlib import metadata

import torch

from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Event, TrainPlan, TrainResult
from ragd_tune.training import measured, memory
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import Job
from ragd_tune_unsloth.estimate import estimate
from ragd_tune_unsloth.session import fits, quiet, repeatable
from ragd_tune_unsloth.tasks import Task, ready, task_of
from ragd_tune_unsloth.trainer import Trainer, trained

LIBRARIES = ("torch", "unsloth", "unsloth-zoo", "transformers", "peft", "ragd-tune-unsloth")


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_train``."""
    with quiet(), repeatable(), fits(plan):
        rows = (given := ready(plan, rows)).rows
        if given.note:
            emit(Event(type="log", message=given.note))
        steps, made = measured.settle(plan, rows, emit, estimate)
        emit(Event(type="load", message=plan.base.name))
        task = task_of(plan, given)
        job = Job(plan=plan, rows=rows, emit=emit, steps=steps, trainer=Trainer(plan, task))
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
        estimate=made,
        resumed_from=job.resumed_from,
        schedule_steps=job.horizon,
        rows_seen=progress.rows_seen,
        facts=task.facts,
        versions={name: metadata.version(name) for name in LIBRARIES},
    )


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
