"""A plan's reranker made ready for the loop that all objectives share."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ragd_tune.objectives import Rows
from ragd_tune.plan import TrainPlan
from ragd_tune_cpu import folder, lora
from ragd_tune_cpu.loop import optimizer
from ragd_tune_cpu.loss import cheap_attention
from ragd_tune_cpu.relevance.collate import Pairs
from ragd_tune_cpu.relevance.loss import Relevance
from ragd_tune_cpu.relevance.model import facts_of, open_folder
from ragd_tune_cpu.session import seed_everything
from ragd_tune_cpu.trainee import Trainee


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes; new weights are drawn from its seed.

    The head is trained whole by every tuning: on a plain encoder it is new.
    """
    opened = open_folder(plan.base.path, name=plan.base.name, device=plan.device, seed=plan.seed)
    model = opened.model
    facts = replace(facts_of(opened, max_length=plan.integer("max_length")), settings={})
    model.max_seq_length = facts.max_length
    cheap_attention(model)
    seed_everything(plan.seed)
    wrapped = lora.add(model, plan, heads=opened.heads) if plan.tuning == "lora" else None
    if wrapped is None:
        model.requires_grad_(True)

    def save(out: Path) -> None:
        if wrapped is None:
            folder.save(model, out, facts)
        else:
            lora.save(wrapped, out, plan.base)

    listwise = plan.options["loss"] == "listwise"
    collate = partial(Pairs, model, listwise=listwise)
    return Trainee(
        model=model,
        facts=facts,
        loss=Relevance(model, listwise=listwise),
        adamw=optimizer(model, plan),
        train=collate(rows.train),
        dev=collate(rows.dev),
        save=save,
    )
