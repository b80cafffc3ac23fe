"""One training from plan to weights, and what it will cost."""

from __future__ import annotations

import gc
import math
import shutil
import time
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import pairwise

import mlx.core as mx

from ragd_tune.interchange import peft
from ragd_tune.interchange.lora import Lora
from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Estimate, Event, ModelFacts, TrainPlan, TrainResult
from ragd_tune.training import measured, memory
from ragd_tune.training.bases import portable_name, prompts
from ragd_tune.training.course import Course
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import Job
from ragd_tune.training.targets import choose
from ragd_tune_mlx import contrastive, folder, lora, recipe
from ragd_tune_mlx.embedder import Embedder, build, read_arrays
from ragd_tune_mlx.recipe import Recipe
from ragd_tune_mlx.session import fits, on
from ragd_tune_mlx.tokens import Tokenizer
from ragd_tune_mlx.trainer import Trainer

LIBRARIES = ("mlx", "mlx-lm", "transformers", "ragd-tune-mlx")
ENOUGH_SECONDS = 12.0


@dataclass(kw_only=True)
class Trainee:
    """A model made ready for a plan."""

    recipe: Recipe
    model: Embedder
    facts: ModelFacts
    trainer: Trainer


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_train``."""
    with on(plan.device), fits(plan):
        steps, made = measured.settle(plan, rows, emit, estimate)
        emit(Event(type="load", message=plan.base.name))
        trainee = prepare(plan, rows)
        job = Job(plan=plan, rows=rows, emit=emit, steps=steps, trainer=trainee.trainer)
        job.run()
        _write(plan, trainee, job.progress.step)
    seconds, progress = job.elapsed(), job.progress
    emit(Event(type="done", step=progress.step, steps=progress.step, seconds=seconds))
    return TrainResult(
        format="peft" if plan.tuning == "lora" else "full",
        steps=progress.step,
        seconds=seconds,
        peak_bytes=max(memory.peak_bytes(), mx.get_peak_memory()),
        losses=tuple(progress.losses),
        dev_losses=tuple(progress.dev_losses),
        estimate=made,
        resumed_from=job.resumed_from,
        rows_seen=progress.rows_seen,
        facts=trainee.facts,
        versions={name: metadata.version(name) for name in LIBRARIES},
    )


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes."""
    found = recipe.read(plan.base.path, name=plan.base.name)
    facts = _facts(plan, found)
    model = build(found, read_arrays(found))
    if plan.tuning == "lora":
        inner = model.transformer
        model.freeze()
        lora.add(
            inner,
            choose(lora.linear_names(inner), plan.options["lora_targets"]),
            rank=plan.integer("lora_rank"),
            alpha=plan.number("lora_alpha"),
            dropout=plan.number("lora_dropout"),
            seed=plan.seed,
        )
    tokenizer = Tokenizer(found.folder, length=facts.max_length, lowercase=found.lowercase)
    task = contrastive.Contrastive(plan, tokenizer, facts)
    trainer = Trainer(plan, rows, model, task)
    return Trainee(recipe=found, model=model, facts=facts, trainer=trainer)


def _facts(plan: TrainPlan, found: Recipe) -> ModelFacts:
    """Return what the model will be."""
    own = found.facts
    return replace(
        own,
        max_length=min(plan.integer("max_length"), own.max_length),
        prompts=prompts(plan, own),
        normalise=True,  # the objective is over cosines
        dimensions=contrastive.dimensions(plan, own.dimension),
    )


def _write(plan: TrainPlan, trainee: Trainee, step: int) -> None:
    """Write the weights aside and move them to ``plan.out`` whole.

    :raises TrainingDivergedError: the last step left a weight that is no number.
    """
    trainee.trainer.finish()
    for value in trainee.trainer.weights.values():
        if not mx.isfinite(value).all().item():
            raise diverged(step, math.nan, plan.number("learning_rate"))
    part = plan.out.with_name(f"{plan.out.name}.part")
    for place in (part, plan.out):
        shutil.rmtree(place, ignore_errors=True)
    part.mkdir(parents=True)
    if plan.tuning == "lora":
        adapter = Lora(
            parts=lora.read(trainee.model.transformer),
            dropout=plan.number("lora_dropout"),
            base_name=portable_name(plan.base),
            task="FEATURE_EXTRACTION",
        )
        peft.write(adapter, part)
    else:
        folder.write(trainee.model, part, trainee.recipe, trainee.facts)
    part.replace(plan.out)


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_estimate``.

    One step on the most expensive batch warms up and shows the peak of memory; then up to five
    batches, spread over the order of cost, are timed, for 12 seconds at the most.
    """
    with on(plan.device), fits(plan):
        first = Course.of(plan, rows.train).epoch(0)
        groups = measured.sample(rows.train, first, max_length=plan.integer("max_length"))
        times = _time(plan, rows, groups)
        return measured.estimated(plan, rows, times, peak=mx.get_peak_memory())


def _time(plan: TrainPlan, rows: Rows, groups: list[list[int]]) -> list[float]:
    trainee = prepare(plan, rows)
    marks: list[float] = []

    def done(step: int, value: float, rows_of_step: int) -> bool:
        marks.append(time.perf_counter())
        return step > 3 and marks[-1] - marks[0] > ENOUGH_SECONDS

    trainee.trainer.run(iter(groups), start=0, steps=len(groups), done=done)
    del trainee
    gc.collect()
    return [later - earlier for earlier, later in pairwise(marks)]
