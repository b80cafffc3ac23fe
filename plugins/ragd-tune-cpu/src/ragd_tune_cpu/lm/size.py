"""What a language model will cost, from its size and this machine's speed, before it is loaded."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import torch

from ragd_tune.errors import DoesNotFitError
from ragd_tune.objectives import Rows, Samples
from ragd_tune.plan import Estimate, TrainPlan
from ragd_tune.training import measured
from ragd_tune.training.course import Course, total_steps
from ragd_tune_cpu.loss import uses_bf16

TOO_SLOW = 60.0
"""Seconds of a step from which on no step is taken just to measure it."""

SLOW_HOURS = 6.0

_BYTES = {"full": 16.0, "lora": 4.0, "dora": 4.0, "qlora": 0.7}
"""Bytes a weight: in fp32 with gradient and AdamW's two moments; frozen; in NF4 with its scales."""

_WORK = {"full": 6, "lora": 4, "dora": 5, "qlora": 5}
"""Floating-point operations a weight and token: 2 forward, 2 for inputs' gradients, 2 for weights'
(Kaplan et al. 2020, arXiv 2001.08361); frozen weights save the last. DoRA and NF4 cost about as
much as one more pass over the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """``weights`` of the base, bytes that training takes, and seconds of a step, all by formula."""

    weights: int
    bytes: int
    seconds_per_step: float


def weights_of(folder: Path) -> int:
    """Return how many weights a model has, from the headers of its safetensors."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
    return total


def outlook(plan: TrainPlan, made: Samples) -> Outlook:
    """Work out what ``plan`` takes.

    :raises DoesNotFitError: more memory than this machine has; says what would fit.
    """
    weights = weights_of(plan.base.path)
    needed = int(weights * _BYTES[plan.tuning])
    there = _memory(plan.device)
    if there and needed > there:
        raise DoesNotFitError(
            f"{plan.base.name} has {weights / 1e9:.1f} billion weights: {plan.tuning} takes "
            f"{needed / 2**30:.0f} GB at the least, and {plan.device} has {there / 2**30:.0f}",
            mend=_smaller(plan, weights, there),
        )
    tokens = sum(len(sample.ids) for sample in made.train) / max(1, len(made.train))
    work = _WORK[plan.tuning] * weights * tokens * plan.integer("batch_size")
    return Outlook(weights=weights, bytes=needed, seconds_per_step=work / _speed(plan))


def _memory(device: str) -> int:
    """Return the memory of ``device`` in bytes, 0 where it cannot be told."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    import psutil

    return int(psutil.virtual_memory().total)


def _smaller(plan: TrainPlan, weights: int, there: int) -> str:
    fitting = [name for name in ("lora", "qlora") if weights * _BYTES[name] < there]
    most = there / _BYTES["qlora"] / 1e9
    ways = [f"--tuning {name}" for name in fitting if name != plan.tuning]
    return " or ".join([*ways, f"a base of at most {most:.0f} billion weights (--tuning qlora)"])


def _speed(plan: TrainPlan) -> float:
    """Return floating-point operations a second, from a quarter of a second of products."""
    dtype = torch.bfloat16 if uses_bf16(plan) else torch.float32
    one = torch.randn(512, 512, device=plan.device, dtype=dtype)
    one @ one
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < 0.25:
        float((one @ one)[0, 0])
        count += 1
    return count * 2 * 512**3 / (time.perf_counter() - started)


def told(plan: TrainPlan, rows: Rows, found: Outlook) -> Estimate:
    """Return the estimate of a run that is too slow to be measured."""
    steps = total_steps(plan, Course.of(plan, rows.train), found.seconds_per_step)
    made = Estimate(
        seconds=steps * found.seconds_per_step,
        steps=steps,
        peak_bytes=found.bytes,
        measured_steps=0,
    )
    made = with_note(made, found)
    measured.remember(plan, made)
    return made


def with_note(made: Estimate, found: Outlook) -> Estimate:
    """Return the estimate with what a user should know of a long run."""
    hours = made.seconds / 3600
    if hours < SLOW_HOURS:
        return made
    took = f"{hours / 24:.0f} days" if hours > 48 else f"{hours:.0f} hours"
    how = "" if made.measured_steps else " (worked out, not measured)"
    smaller = 0.5e9 / found.weights
    ways = ["--minutes bounds the time", "a GPU takes a hundredth of it"]
    if smaller < 0.5:
        ways.insert(0, f"a base of 0.5 billion weights takes about {hours * smaller:.0f} hours")
    size = f"{found.weights / 1e9:.1f} billion weights"
    return replace(made, note=f"{size}: about {took} on this machine{how}; {'; '.join(ways)}")
