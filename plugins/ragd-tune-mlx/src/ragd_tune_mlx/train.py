"""One training from plan to weights, and what it will cost."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Iterator

import mlx.core as mx

from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Estimate, Event, TrainPlan, TrainResult
from ragd_tune.training import measured
from ragd_tune.training.course import Course, training_length
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import Job
from ragd_tune.training.written import put
from ragd_tune_mlx import prepare as encoders
from ragd_tune_mlx.late import prepare as late
from ragd_tune_mlx.lm import prepare as causal
from ragd_tune_mlx.relevance import prepare as relevance
from ragd_tune_mlx.session import fits, on, uncompiled
from ragd_tune_mlx.trainee import Trainee

LIBRARIES = ("mlx", "mlx-lm", "transformers", "ragd-tune-mlx")


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_train``."""
    with at_work(plan):
        steps, made = measured.settle(plan, rows_of(plan, rows), emit, estimate)
        emit(Event(type="load", message=plan.base.name))
        trainee = prepare(plan, rows)
        if trainee.note:
            emit(Event(type="log", message=trainee.note))
        job = Job(plan=plan, rows=trainee.rows, emit=emit, steps=steps, trainer=trainee.trainer)
        job.run()
        _write(plan, trainee, job.progress.step)
    return job.result(
        format="full" if plan.tuning == "full" else "peft",
        facts=trainee.facts,
        estimate=made,
        libraries=LIBRARIES,
        peak=mx.get_peak_memory(),
    )


@contextlib.contextmanager
def at_work(plan: TrainPlan) -> Iterator[None]:
    """Compute where the plan says, and turn a lack of memory into words."""
    with on(plan.device), uncompiled(plan.device), fits(plan):
        yield


def rows_of(plan: TrainPlan, rows: Rows) -> Rows:
    """Return the rows that steps are counted in: those of a language model may have to fit."""
    return causal.read(plan, rows)[1].rows if plan.objective == "causal_lm" else rows


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes."""
    prepares = {
        "causal_lm": causal.prepare,
        "contrastive": encoders.prepare,
        "late_interaction": late.prepare,
        "relevance": relevance.prepare,
    }
    return prepares[plan.objective](plan, rows)


def _write(plan: TrainPlan, trainee: Trainee, step: int) -> None:
    """Write the weights aside and move them to ``plan.out`` whole.

    :raises TrainingDivergedError: the last step left a weight that is no number.
    """
    trainee.trainer.finish()
    for value in trainee.trainer.weights.values():
        if not mx.isfinite(value).all().item():
            raise diverged(step, math.nan, plan.number("learning_rate"))
    put(plan.out, trainee.save)


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_estimate``.

    One step on the most expensive batch warms up and shows the peak of memory; then up to five
    batches, spread over the order of cost, are timed, for 12 seconds at the most (less in a
    short budget).
    """
    with at_work(plan):
        made = rows_of(plan, rows)
        first = Course.of(plan, made.train).epoch(0)
        groups = measured.sample(made.train, first, max_length=training_length(plan))
        times = _time(plan, rows, groups)
        return measured.estimated(plan, made, times, peak=mx.get_peak_memory())


def _time(plan: TrainPlan, rows: Rows, groups: list[list[int]]) -> list[float]:
    trainee = prepare(plan, rows)
    times = measured.timed(plan, trainee.trainer, groups)
    del trainee
    gc.collect()
    return times
