"""One training from plan to weights."""

from __future__ import annotations

import math

import torch

from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Event, TrainPlan, TrainResult
from ragd_tune.training import measured
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import Job
from ragd_tune.training.written import put
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
    return job.result(
        format="peft",
        facts=task.facts,
        estimate=made,
        libraries=LIBRARIES,
    )


def _write(plan: TrainPlan, task: Task, step: int) -> None:
    """Write the weights aside and move them to ``plan.out`` whole.

    :raises TrainingDivergedError: the last step left a weight that is no number.
    """
    for parameter in trained(task.model).values():
        if not bool(torch.isfinite(parameter).all()):
            raise diverged(step, math.nan, plan.number("learning_rate"))
    put(plan.out, task.save)
