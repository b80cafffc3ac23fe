"""A plan's encoder made ready: loaded, cut to length, with the weights that its tuning adds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from ragd_tune.objectives import Rows
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.training.bases import prompts
from ragd_tune.training.course import training_length
from ragd_tune.training.facts import dimensions
from ragd_tune.training.written import blend
from ragd_tune_mlx import contrastive, folder, lora, recipe
from ragd_tune_mlx.embedder import Embedder, build, read_arrays
from ragd_tune_mlx.recipe import Recipe
from ragd_tune_mlx.tokens import Tokenizer
from ragd_tune_mlx.trainee import Trainee
from ragd_tune_mlx.trainer import Trainer
from ragd_tune_mlx.weights import Arrays


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes."""
    found = recipe.read(plan.base.path, name=plan.base.name)
    facts = _facts(plan, found)
    model = build(found, read_arrays(found))
    _set_dropout(model, plan.number("dropout"))
    if plan.tuning == "lora":
        model.freeze()
        lora.add(model.transformer, plan)
    length = min(training_length(plan), facts.max_length)
    tokenizer = Tokenizer(found.folder, length=length, lowercase=found.lowercase)
    task = contrastive.Contrastive(plan, rows, tokenizer, facts)
    return Trainee(
        rows=rows,
        facts=facts,
        trainer=Trainer(plan, model, task),
        save=partial(_save, plan, model, found, facts),
    )


def _set_dropout(model: Embedder, share: float) -> None:
    """Have all layers drop ``share`` of their numbers."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module._p_1 = 1.0 - share


def _facts(plan: TrainPlan, found: Recipe) -> ModelFacts:
    """Return what the model will be."""
    own = found.facts
    return replace(
        own,
        max_length=min(plan.integer("max_length"), own.max_length),
        prompts=prompts(plan, own),
        normalise=True,  # the objective is over cosines
        dimensions=dimensions(plan, own.dimension),
    )


def _save(plan: TrainPlan, model: Embedder, found: Recipe, facts: ModelFacts, out: Path) -> None:
    share = blend(plan)
    if plan.tuning == "full":
        if share != 1.0:
            _towards_base(model, read_arrays(found), share)
        folder.write(model, out, found, facts)
        return
    lora.save(model.transformer, plan, out, task="FEATURE_EXTRACTION", blend=share)


def _towards_base(model: Embedder, base: Arrays, share: float) -> None:
    """Leave in ``model``, which is trained, ``share`` of what training changed."""
    trained = tree_flatten(model.parameters())
    made = [(name, base[name] + share * (value - base[name])) for name, value in trained]
    model.update(tree_unflatten(made))
