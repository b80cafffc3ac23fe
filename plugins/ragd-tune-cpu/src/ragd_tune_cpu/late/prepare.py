"""A plan's late-interaction model made ready for the loop that all objectives share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ragd_tune.objectives import Rows
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.training.bases import prompts
from ragd_tune_cpu import folder, lora
from ragd_tune_cpu.collate import Collator
from ragd_tune_cpu.late.loss import MaxSimSoftmax
from ragd_tune_cpu.late.model import (
    Opened,
    dense_of,
    facts_of,
    open_folder,
    save_projection,
    take,
)
from ragd_tune_cpu.late.shape import encoder_of
from ragd_tune_cpu.loop import optimizer
from ragd_tune_cpu.loss import cheap_attention
from ragd_tune_cpu.session import seed_everything
from ragd_tune_cpu.trainee import Trainee


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes; new weights are drawn from its seed.

    The projection is trained whole by every tuning: on most bases it is new.
    """
    wanted = plan.options["token_dimension"]
    opened = open_folder(
        plan.base.path,
        name=plan.base.name,
        device=plan.device,
        dimension=wanted if isinstance(wanted, int) else None,
        seed=plan.seed,
    )
    model = opened.model
    facts = _facts(opened, plan)
    take(opened, facts)
    cheap_attention(model)
    seed_everything(plan.seed)
    wrapped = lora.add(model, plan) if plan.tuning == "lora" else None
    if wrapped is None:
        model.requires_grad_(True)
    dense_of(model).requires_grad_(True)

    def save(out: Path) -> None:
        if wrapped is None:
            folder.save(model, out, facts)
            return
        lora.save(wrapped, out, plan.base)
        save_projection(model, out)

    collators = [
        Collator(model, part, facts=facts, negatives=plan.integer("negatives"))
        for part in (rows.train, rows.dev)
    ]
    return Trainee(
        model=model,
        facts=facts,
        loss=MaxSimSoftmax(model, scale=1.0 / plan.number("temperature")),
        adamw=optimizer(model, plan),
        train=collators[0],
        dev=collators[1],
        save=save,
    )


def _facts(opened: Opened, plan: TrainPlan) -> ModelFacts:
    """Return what the model will be."""
    own = facts_of(opened, max_length=plan.integer("max_length"))
    shape = opened.shape.changed(plan.options)
    limit = int(encoder_of(opened.model).max_seq_length or shape.query_length)
    shape = replace(shape, query_length=min(shape.query_length, limit))
    return replace(own, prompts=prompts(plan, own), settings=shape.settings())
