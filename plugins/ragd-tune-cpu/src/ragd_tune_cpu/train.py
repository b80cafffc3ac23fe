"""One training from plan to weights."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch

from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Event, TrainPlan, TrainResult
from ragd_tune.training import measured
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import Job
from ragd_tune.training.written import put
from ragd_tune_cpu.estimate import estimate
from ragd_tune_cpu.many.group import GROUP
from ragd_tune_cpu.prepare import prepare
from ragd_tune_cpu.session import fits, quiet, repeatable
from ragd_tune_cpu.trainee import Trainee
from ragd_tune_cpu.trainer import Trainer, trained

FORMATS = {"lora": "peft", "map": "map"}
"""What lies in an adapter, by tuning; a whole model otherwise."""

LIBRARIES = ("torch", "sentence-transformers", "transformers", "peft", "ragd-tune-cpu")


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_train``."""
    with quiet(), repeatable(), fits(plan):
        steps, made = measured.settle(plan, rows, emit, estimate)
        steps = GROUP.firsts(steps)  # what a bound of time allows, each has measured for itself
        emit(Event(type="load", message=plan.base.name))
        trainee = prepare(plan, rows)
        before = _ahead(trainee, emit)
        job = Job(plan=plan, rows=rows, emit=emit, steps=steps, trainer=Trainer(plan, trainee))
        job.run()
        _write(plan, trainee, job.progress.step)
    result = job.result(
        format=FORMATS.get(plan.tuning, "full"),
        facts=trainee.facts,
        estimate=made,
        libraries=LIBRARIES,
    )
    return replace(result, seconds=before + result.seconds)


def _ahead(trainee: Trainee, emit: Emit) -> float:
    """Do what comes before the first step, and return the seconds that it took."""
    if trainee.ahead is None:
        return 0.0
    emit(Event(type="log", message=trainee.ahead.message))
    begun = time.perf_counter()
    trainee.ahead.run()
    return time.perf_counter() - begun


def _write(plan: TrainPlan, trainee: Trainee, step: int) -> None:
    """Write the weights aside and move them to ``plan.out`` whole.

    :raises TrainingDivergedError: the last step left a weight that is no number.
    """
    for parameter in trained(trainee.model).values():
        if not bool(torch.isfinite(parameter).all()):
            raise diverged(step, math.nan, plan.number("learning_rate"))
    put(plan.out, trainee.save)
