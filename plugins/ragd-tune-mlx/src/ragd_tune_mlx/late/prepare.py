"""A plan's late-interaction model made ready for the loop that all objectives share."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ragd_tune.objectives import Rows
from ragd_tune.objectives.late import Shape
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.training.bases import prompts
from ragd_tune_mlx import lora
from ragd_tune_mlx.late.model import LateEncoder, Opened, build, open_folder, write_projection
from ragd_tune_mlx.late.task import LateInteraction
from ragd_tune_mlx.late.tokens import LateTokenizer
from ragd_tune_mlx.trainee import Trainee
from ragd_tune_mlx.trainer import Trainer


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in low-rank matrices; the projection is new, and trained whole."""
    opened = open_folder(plan.base.path, name=plan.base.name)
    facts = _facts(plan, opened)
    tokenizer = LateTokenizer(opened.folder, facts, lowercase=opened.lowercase)
    model = build(opened, opened.drawn(facts.dimension, seed=plan.seed))
    lora.add(model.transformer, plan)
    task = LateInteraction(plan, rows, tokenizer)
    return Trainee(
        rows=rows,
        facts=facts,
        trainer=Trainer(plan, model, task),
        save=partial(_save, plan, model),
    )


def _facts(plan: TrainPlan, opened: Opened) -> ModelFacts:
    """Return what the model will be."""
    wanted = plan.options["token_dimension"]
    own = opened.facts(
        dimension=wanted if isinstance(wanted, int) else None,
        max_length=plan.integer("max_length"),
    )
    shape = Shape().changed(own.settings).changed(plan.options)
    shape = replace(shape, query_length=min(shape.query_length, opened.limit))
    return replace(own, prompts=prompts(plan, own), settings=shape.settings())


def _save(plan: TrainPlan, model: LateEncoder, out: Path) -> None:
    lora.save(model.transformer, plan, out, task="FEATURE_EXTRACTION")
    write_projection(model, out)
