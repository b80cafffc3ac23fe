"""A plan's encoder made ready: loaded, cut to length, with the weights that its tuning adds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ragd_tune.interchange import peft
from ragd_tune.interchange.lora import Lora
from ragd_tune.objectives import Rows
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.training.bases import portable_name, prompts
from ragd_tune.training.course import training_length
from ragd_tune.training.targets import choose
from ragd_tune_mlx import contrastive, folder, lora, recipe
from ragd_tune_mlx.embedder import Embedder, build, read_arrays
from ragd_tune_mlx.recipe import Recipe
from ragd_tune_mlx.tokens import Tokenizer
from ragd_tune_mlx.trainee import Trainee
from ragd_tune_mlx.trainer import Trainer


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
    length = min(training_length(plan), facts.max_length)
    tokenizer = Tokenizer(found.folder, length=length, lowercase=found.lowercase)
    task = contrastive.Contrastive(plan, rows, tokenizer, facts)
    return Trainee(
        rows=rows,
        facts=facts,
        trainer=Trainer(plan, model, task),
        save=partial(_save, plan, model, found, facts),
    )


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


def _save(plan: TrainPlan, model: Embedder, found: Recipe, facts: ModelFacts, out: Path) -> None:
    if plan.tuning == "full":
        folder.write(model, out, found, facts)
        return
    adapter = Lora(
        parts=lora.read(model.transformer),
        dropout=plan.number("lora_dropout"),
        base_name=portable_name(plan.base),
        task="FEATURE_EXTRACTION",
    )
    peft.write(adapter, out)
