"""A plan's language model made ready: loaded, with what its tuning adds, and its rows as tokens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import mlx.nn as nn

from ragd_tune.errors import UsageError
from ragd_tune.objectives import Frame, Rows, Samples, frame_of, samples
from ragd_tune.options import Value
from ragd_tune.plan import TrainPlan
from ragd_tune.training.facts import of_language
from ragd_tune.training.targets import choose
from ragd_tune_mlx import lora
from ragd_tune_mlx.lm import base, folder
from ragd_tune_mlx.lm.causal import CausalLM
from ragd_tune_mlx.trainee import Trainee
from ragd_tune_mlx.trainer import Trainer


def read(plan: TrainPlan, rows: Rows) -> tuple[Frame, Samples]:
    """Return how prompts are written, and the rows as tokens; no weights are loaded.

    :raises DataError: a row that may not be cut is longer than ``max_length``.
    :raises UsageError: ``max_length`` is more than the base can read.
    """
    config = base.config_of(plan.base.path, plan.base.name)
    tokenizer = base.load_tokenizer(plan.base.path, plan.base.name)
    limit, wanted = base.context(config, tokenizer), plan.integer("max_length")
    if wanted > limit:
        raise UsageError(
            f"max_length is {wanted}, and {plan.base.name} reads {limit} tokens at most",
            mend=f"--max-length {limit}",
        )
    if plan.options["packing"]:
        raise UsageError("the backend mlx does not pack rows", mend="--packing no")
    frame = frame_of(tokenizer, plan.options["chat_template"])
    drop = plan.options["too_long"] == "drop"
    return frame, samples(rows, frame, max_length=wanted, drop=drop)


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base and put in what the plan tunes."""
    frame, made = read(plan, rows)
    tokenizer: Any = frame.tokenizer
    model = base.load_model(plan.base.path, plan.base.name, four_bits=plan.tuning == "qlora")
    quantised = _quantised(plan, model)
    if plan.tuning == "full":
        folder.check(model, plan.base.path, plan.base.name)
        model.unfreeze()
    else:
        names = choose(lora.linear_names(model), plan.options["lora_targets"])
        folder.check_layers(names, plan.base.path, plan.base.name)
        lora.add(model, plan, names)
    config = base.config_of(plan.base.path, plan.base.name)
    task = CausalLM(made, size=plan.integer("micro_batch"), padding=tokenizer.pad_token_id)
    return Trainee(
        rows=made.rows,
        note=made.note,
        facts=of_language(
            plan,
            made.rows,
            max_length=base.context(config, tokenizer),
            chat=frame.chat,
            bits=quantised,
        ),
        trainer=Trainer(plan, model, task),
        save=partial(_save, plan, model, quantised),
    )


def _quantised(plan: TrainPlan, model: nn.Module) -> Mapping[str, Value]:
    """Return what an adapter on four bits has to tell: it fits these numbers and no others."""
    if plan.tuning != "qlora":
        return {}
    return {"quantised": base.FOUR_BITS, "quantised_base": base.numbers(model)}


def _save(plan: TrainPlan, model: nn.Module, quantised: Mapping[str, Value], out: Path) -> None:
    if plan.tuning == "full":
        folder.save(model, plan.base.path, out)
        return
    lora.save(model, plan, out, task="CAUSAL_LM", quantised=quantised or None)
