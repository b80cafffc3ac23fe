"""A plan's model made ready: loaded, cut to length, with the weights that its tuning adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from ragd_tune.objectives import Rows
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.training.bases import prompts
from ragd_tune.training.course import training_length
from ragd_tune.training.facts import dimensions
from ragd_tune.training.written import blend
from ragd_tune_cpu import folder, lookup, lora, loss
from ragd_tune_cpu.base import facts_of, load_folder
from ragd_tune_cpu.blending import towards_base
from ragd_tune_cpu.collate import Collator
from ragd_tune_cpu.loop import optimizer
from ragd_tune_cpu.session import seed_everything
from ragd_tune_cpu.similarity import ScoredPairs, similarity
from ragd_tune_cpu.trainee import Trainee


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes; new weights are drawn from its seed."""
    if plan.objective == "late_interaction":
        from ragd_tune_cpu.late.prepare import prepare as late

        return late(plan, rows)
    if plan.objective == "relevance":
        from ragd_tune_cpu.relevance.prepare import prepare as relevance

        return relevance(plan, rows)
    if plan.side == "query":
        from ragd_tune_cpu.query.prepare import prepare as query

        return query(plan, rows)
    return _dense(plan, rows)


def _dense(plan: TrainPlan, rows: Rows) -> Trainee:
    model = load_folder(plan.base.path, name=plan.base.name, device=plan.device)
    facts = _facts(model, plan)
    loss.cheap_attention(model)
    seed_everything(plan.seed)
    wrapped = lora.add(model, plan) if plan.tuning == "lora" else None
    if wrapped is None:
        model.requires_grad_(True)
        lookup.use(model)
    if plan.objective == "contrastive":
        loss.set_dropout(model, plan.number("dropout"))

    def save(out: Path) -> None:
        if wrapped is None:
            towards_base(model, plan)
            folder.save(model, out, facts)
        else:
            lora.save(wrapped, out, plan.base, blend=blend(plan))

    collator, lossy = _LEARNT[plan.objective]
    length, negatives = training_length(plan), plan.options.get("negatives", 0)
    assert isinstance(negatives, int)
    collate = partial(collator, model, facts=facts, negatives=negatives, length=length)
    return Trainee(
        model=model,
        facts=facts,
        loss=lossy(model, plan),
        adamw=optimizer(model, plan),
        train=collate(rows.train),
        dev=collate(rows.dev),
        save=save,
    )


_Loss = Callable[[SentenceTransformer, TrainPlan], torch.nn.Module]
_LEARNT: Mapping[str, tuple[type[Collator], _Loss]] = {
    "contrastive": (Collator, loss.contrastive),
    "similarity": (ScoredPairs, similarity),
}
"""What makes the batches, and the loss over them, of each objective with one vector a text."""


def _facts(model: SentenceTransformer, plan: TrainPlan) -> ModelFacts:
    """Return what the model will be; cuts it to the plan's length."""
    own = facts_of(model)
    return replace(
        own,
        max_length=folder.cut(model, plan.integer("max_length")),
        prompts=prompts(plan, own),
        normalise=True,  # the objective is over cosines
        dimensions=dimensions(plan, own.dimension),
    )
