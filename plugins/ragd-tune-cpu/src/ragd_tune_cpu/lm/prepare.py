"""A plan's language model made ready: loaded, with what its tuning adds, and its rows as tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ragd_tune.errors import UsageError
from ragd_tune.interchange.quantised import nf4
from ragd_tune.objectives import Frame, Rows, Samples, frame_of, samples
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.training.facts import of_language
from ragd_tune_cpu.lm import adapter
from ragd_tune_cpu.lm.base import config_of, context, load_model, load_tokenizer
from ragd_tune_cpu.loop import optimizer
from ragd_tune_cpu.loss import uses_bf16
from ragd_tune_cpu.session import seed_everything


@dataclass(kw_only=True)
class Trainee:
    """A language model made ready for a plan. ``wrapped`` is PEFT's view, None for ``full``."""

    model: Any
    wrapped: Any
    tokenizer: Any
    facts: ModelFacts
    adamw: torch.optim.Optimizer
    samples: Samples


def read(plan: TrainPlan, rows: Rows) -> tuple[Frame, Samples]:
    """Return how prompts are written, and the rows as tokens; no weights are loaded.

    :raises DataError: a row that may not be cut is longer than ``max_length``.
    :raises UsageError: ``max_length`` is more than the base can read.
    """
    config = config_of(plan.base.path, plan.base.name)
    tokenizer = load_tokenizer(plan.base.path, plan.base.name)
    limit, wanted = context(config, tokenizer), plan.integer("max_length")
    if wanted > limit:
        raise UsageError(
            f"max_length is {wanted}, and {plan.base.name} reads {limit} tokens at most",
            mend=f"--max-length {limit}",
        )
    frame = frame_of(tokenizer, plan.options["chat_template"])
    drop = plan.options["too_long"] == "drop"
    return frame, samples(rows, frame, max_length=wanted, drop=drop)


def prepare(plan: TrainPlan, frame: Frame, made: Samples) -> Trainee:
    """Load the base and put in what the plan tunes; new weights are drawn from its seed."""
    tokenizer: Any = frame.tokenizer
    compute = torch.bfloat16 if uses_bf16(plan) else torch.float32
    model = load_model(
        plan.base.path,
        name=plan.base.name,
        device=plan.device,
        dtype=_dtype(plan, compute),
        four_bits=compute if plan.tuning == "qlora" else None,
    )
    if plan.tuning == "qlora":
        adapter.check_four_bits(model, plan.base.name)
    seed_everything(plan.seed)
    wrapped = None if plan.tuning == "full" else adapter.add(model, plan)
    facts = of_language(
        plan,
        made.rows,
        max_length=context(model.config, tokenizer),
        chat=frame.chat,
        bits=nf4(plan.tuning, str(compute).removeprefix("torch.")),
    )
    return Trainee(
        model=model,
        wrapped=wrapped,
        tokenizer=tokenizer,
        facts=facts,
        adamw=optimizer(model, plan),
        samples=made,
    )


def _dtype(plan: TrainPlan, compute: torch.dtype) -> torch.dtype:
    """Return what frozen weights are held in: 16 bits only where the base has no more."""
    if plan.tuning == "full" or compute == torch.float32:
        return torch.float32
    stored = getattr(config_of(plan.base.path, plan.base.name), "dtype", None)
    return torch.bfloat16 if stored == torch.bfloat16 else torch.float32
