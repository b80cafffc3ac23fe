"""A plan's reranker made ready for the loop that all objectives share."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from mlx.utils import tree_flatten

from ragd_tune.objectives import Rows
from ragd_tune.plan import TrainPlan
from ragd_tune.training.targets import choose
from ragd_tune_mlx import lora
from ragd_tune_mlx.relevance.model import Scorer, build, open_folder
from ragd_tune_mlx.relevance.task import Relevance
from ragd_tune_mlx.tokens import Tokenizer
from ragd_tune_mlx.trainee import Trainee
from ragd_tune_mlx.trainer import Trainer
from ragd_tune_mlx.weights import as_numpy


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in low-rank matrices; the head is trained whole: mostly it is new."""
    opened = open_folder(plan.base.path, name=plan.base.name, seed=plan.seed)
    own = opened.facts()
    facts = replace(own, max_length=min(plan.integer("max_length"), own.max_length), settings={})
    model = build(opened)
    inside = tuple(f"{head}." for head in opened.heads)
    linear = [name for name in lora.linear_names(model) if not f"{name}.".startswith(inside)]
    # A head reads what a pooler gives, so that no pooler is idle.
    lora.add(model, plan, choose(linear, plan.options["lora_targets"], idle=frozenset()))
    there = dict(model.named_modules())
    for head in opened.heads:
        there[head].unfreeze()
    tokenizer = Tokenizer(opened.place, length=facts.max_length)
    task = Relevance(rows, tokenizer, listwise=plan.options["loss"] == "listwise")
    return Trainee(
        rows=rows,
        facts=facts,
        trainer=Trainer(plan, model, task),
        save=partial(_save, plan, model, opened.heads),
    )


def _save(plan: TrainPlan, model: Scorer, heads: tuple[str, ...], out: Path) -> None:
    there = dict(model.named_modules())
    whole = {
        head: {name: as_numpy(value) for name, value in tree_flatten(there[head].parameters())}
        for head in heads
    }
    lora.save(model, plan, out, task="SEQ_CLS", whole=whole)
