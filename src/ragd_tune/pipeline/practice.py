"""Good practice: what a run is told that leaves the field's rules. A notice, never a refusal.

Learning rates of language models: ten times or more below those of pre-training (3e-4 at 7B,
Touvron et al. 2023, arXiv 2302.13971), and ten times that for new low-rank matrices, which start
at 0 (Hu et al. 2021, arXiv 2106.09685). At most three epochs and an effective batch of 32 or more
are what the recipes of RAFT, Alpaca and LlamaIndex use; a kind whose own defaults lie elsewhere is
measured by those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ragd_tune.data.origins import without_model
from ragd_tune.pipeline.settling import profile_here
from ragd_tune.plan import TrainPlan
from ragd_tune.training.course import held_out

if TYPE_CHECKING:
    from ragd_tune.pipeline.planning import Planned

EPOCHS = 3.0
BATCH = 32
RATES = {"full": 3e-5}
ADAPTERS = 3e-4
"""Learning rates of language models, at most: all weights, and low-rank matrices."""

_TENFOLD = 10.0


def notices(planned: Planned) -> list[str]:
    """Return where a plan leaves the rules, a line each."""
    plan, rows = planned.plan, len(planned.rows.train)
    profile = profile_here(plan.tuning, plan.side, plan.device, rows)
    defaults = planned.kind.defaults(replace(profile, generated=without_model(planned.data)))
    return [
        *_rate(plan, defaults),
        *_epochs(plan, rows, defaults),
        *_batch(plan, rows, defaults),
        *_precision(plan),
        *_held_out(planned),
        *_unused(planned),
    ]


def _number(value: object, other: float) -> float:
    return float(value) if isinstance(value, (int, float)) else other


def _rate(plan: TrainPlan, defaults: Mapping[str, object]) -> Iterator[str]:
    rate, own = plan.number("learning_rate"), _number(defaults.get("learning_rate"), 0.0)
    most = RATES.get(plan.tuning, ADAPTERS) if plan.objective == "causal_lm" else _TENFOLD * own
    if most and rate > max(most, own):
        yield (
            f"a learning rate of {rate:g} is high for {plan.tuning}: up to {max(most, own):g} is "
            f"usual, and the default is {own:g}; what the base knows may be lost"
        )


def _epochs(plan: TrainPlan, rows: int, defaults: Mapping[str, object]) -> Iterator[str]:
    most = max(EPOCHS, _number(defaults.get("epochs"), 0.0))
    if plan.options["max_steps"] is not None:
        epochs = plan.integer("max_steps") * plan.integer("batch_size") / max(1, rows)
    elif plan.options["minutes"] is not None:
        return  # not known before it is measured
    else:
        epochs = plan.number("epochs")
    if epochs > most:
        yield (
            f"{epochs:.3g} passes over {rows} rows: more than {most:g} is where models begin to "
            "learn their rows by heart; watch the held-out loss"
        )


def _batch(plan: TrainPlan, rows: int, defaults: Mapping[str, object]) -> Iterator[str]:
    size = plan.integer("batch_size")
    least = min(BATCH, _number(defaults.get("batch_size"), BATCH))
    if size < least:
        ways = ("micro_batch", "training_length", "max_length")
        way = f"--{next(one for one in ways if one in plan.options).replace('_', '-')}"
        yield (
            f"{size} rows a step: fewer than {least:g} make noisy steps; if memory is short, "
            f"{way} saves it"
        )
    elif rows < size:
        yield f"{rows} rows are less than one step's {size}: that is little to learn from"


def _precision(plan: TrainPlan) -> Iterator[str]:
    if plan.device != "cpu" and plan.options["precision"] == "fp32":
        yield f"32-bit numbers on {plan.device} take twice the time and memory of --precision auto"


def _held_out(planned: Planned) -> Iterator[str]:
    if not held_out(planned.plan, planned.rows.dev):
        why = "too little in the dev split" if planned.rows.dev else "no dev split"
        yield f"nothing is held out for training ({why}): over-fitting will not be seen"


def _unused(planned: Planned) -> Iterator[str]:
    setting, data = planned.settings.get("negatives"), planned.data
    by_default = setting is not None and setting.value == 0 and setting.source == "kind"
    if by_default and (data.negatives or data.written):
        yield (
            "the data has hard negatives, and none is used: with so many rows the default is to "
            "learn from the other rows of a batch; --negatives 4 uses them"
        )
