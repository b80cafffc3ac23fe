"""A plan's model made ready: loaded, cut to length, with the weights that its tuning adds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from ragd_tune.objectives import Rows
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune_cpu import folder, lora, loss
from ragd_tune_cpu.base import facts_of, load_folder
from ragd_tune_cpu.collate import Collator
from ragd_tune_cpu.loop import optimizer
from ragd_tune_cpu.session import seed_everything


@dataclass(kw_only=True)
class Trainee:
    """A model made ready for a plan, with everything that one step needs.

    ``wrapped`` is PEFT's view of it, None for the tuning ``full``.
    """

    model: SentenceTransformer
    wrapped: Any
    facts: ModelFacts
    loss: torch.nn.Module
    adamw: torch.optim.Optimizer
    train: Collator
    dev: Collator


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes; new weights are drawn from its seed."""
    model = load_folder(plan.base.path, name=plan.base.name, device=plan.device)
    facts = _facts(model, plan)
    loss.without_attention_dropout(model)
    seed_everything(plan.seed)
    wrapped = lora.add(model, plan) if plan.tuning == "lora" else None
    if wrapped is None:
        model.requires_grad_(True)
    collators = [
        Collator(model, part, facts=facts, negatives=plan.integer("negatives"))
        for part in (rows.train, rows.dev)
    ]
    return Trainee(
        model=model,
        wrapped=wrapped,
        facts=facts,
        loss=loss.contrastive(model, plan),
        adamw=optimizer(model, plan),
        train=collators[0],
        dev=collators[1],
    )


def _facts(model: SentenceTransformer, plan: TrainPlan) -> ModelFacts:
    """Return what the model will be; cuts it to the plan's length."""
    own = facts_of(model)
    return replace(
        own,
        max_length=folder.cut(model, plan.integer("max_length")),
        prompts=_prompts(plan, own),
        normalise=True,  # the objective is over cosines
        dimensions=loss.dimensions(model, plan),
    )


def _prompts(plan: TrainPlan, facts: ModelFacts) -> dict[str, str]:
    """Return the prompts by role: the options', else the base's own; empty ones are left out."""
    found = dict(facts.prompts)
    for role in ("query", "document"):
        wanted = plan.options[f"{role}_prompt"]
        if isinstance(wanted, str):
            found[role] = wanted
    return {role: prompt for role, prompt in found.items() if prompt}
