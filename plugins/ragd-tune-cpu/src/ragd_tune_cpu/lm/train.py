"""One training of a language model, from plan to weights, and what it will cost."""

from __future__ import annotations

import gc
import math
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Estimate, Event, TrainPlan, TrainResult
from ragd_tune.training import measured
from ragd_tune.training.course import Course
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import Job
from ragd_tune.training.written import put
from ragd_tune_cpu import lora
from ragd_tune_cpu.lm import folder, size
from ragd_tune_cpu.lm.prepare import Trainee, prepare, read
from ragd_tune_cpu.lm.trainer import LMTrainer
from ragd_tune_cpu.session import fits, quiet, repeatable, untouched_random_state
from ragd_tune_cpu.trainer import trained

LIBRARIES = ("torch", "transformers", "peft", "ragd-tune-cpu")


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_train``."""
    with quiet(), repeatable(), fits(plan):
        frame, made = read(plan, rows)
        steps, known = measured.settle(plan, made.rows, emit, estimate)
        emit(Event(type="load", message=plan.base.name))
        if made.note:
            emit(Event(type="log", message=made.note))
        trainee = prepare(plan, frame, made)
        trainer = LMTrainer(plan, trainee)
        job = Job(plan=plan, rows=made.rows, emit=emit, steps=steps, trainer=trainer)
        job.run()
        _write(plan, trainee, job.progress.step)
    return job.result(
        format="full" if trainee.wrapped is None else "peft",
        facts=trainee.facts,
        estimate=known,
        libraries=(*LIBRARIES, *(["bitsandbytes"] if plan.tuning == "qlora" else [])),
    )


def _write(plan: TrainPlan, trainee: Trainee, step: int) -> None:
    """Write the weights aside and move them to ``plan.out`` whole.

    :raises TrainingDivergedError: the last step left a weight that is no number.
    """
    for parameter in trained(trainee.model).values():
        if not bool(torch.isfinite(parameter).all()):
            raise diverged(step, math.nan, plan.number("learning_rate"))
    put(plan.out, lambda part: _save(plan, trainee, part))


def _save(plan: TrainPlan, trainee: Trainee, out: Path) -> None:
    if trainee.wrapped is not None:
        lora.save(trainee.wrapped, out, plan.base)
    else:
        folder.save(trainee.model, plan.base.path, out)


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_estimate``.

    What cannot fit is refused before it is loaded, and what would take more than a minute a step is
    worked out from the size of the model and the speed of this machine. All else is measured.
    """
    with quiet(), repeatable(), fits(plan), untouched_random_state(plan.device):
        frame, made = read(plan, rows)
        outlook = size.outlook(plan, made)
        if outlook.seconds_per_step > size.TOO_SLOW:
            return size.told(plan, made.rows, outlook)
        course = Course.of(plan, made.rows.train)
        groups = measured.sample(
            made.rows.train, course.epoch(0), max_length=plan.integer("max_length")
        )
        trainee: Any = prepare(plan, frame, made)
        times = _time(plan, trainee, groups)
        del trainee
        gc.collect()
    return size.with_note(measured.estimated(plan, made.rows, times), outlook)


def _time(plan: TrainPlan, trainee: Trainee, groups: list[list[int]]) -> list[float]:
    marks: list[float] = []
    most = measured.enough(plan)

    def done(step: int, value: float, rows: int) -> bool:
        marks.append(time.perf_counter())
        return step > 2 and marks[-1] - marks[0] > most

    marks.append(time.perf_counter())
    LMTrainer(plan, trainee).run(iter(groups), start=0, steps=len(groups), done=done)
    times = [later - earlier for earlier, later in pairwise(marks)]
    return times[1:] or times  # the first one warms up
