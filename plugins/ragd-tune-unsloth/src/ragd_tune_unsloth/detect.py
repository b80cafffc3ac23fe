"""What this backend runs, and whether it can run here: no framework is imported to find out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec

from ragd_tune.backends import (
    Availability,
    Backend,
    ServeCell,
    TrainCell,
    serve_cells,
    train_cells,
)
from ragd_tune.interchange.quantised import NF4
from ragd_tune.options import Option
from ragd_tune.plan import BaseModel, Device
from ragd_tune.training.devices import has_cuda
from ragd_tune.training.literals import literal

NEEDS = ("unsloth", "unsloth_zoo", "torch", "transformers", "peft", "sentence_transformers")
MEND = 'pip install "ragd-tune[unsloth]"'
SPOOF = "UNSLOTH_ALLOW_CPU"
"""Unsloth's own switch: it takes the CPU for a GPU. For tests of the encoders alone."""
ON_CUDA = 70
ON_CPU = 10
"""Without a GPU it has nothing to be chosen for: the backend ``cpu`` does the same, and more."""


def spoofed(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether Unsloth is told to take the CPU for a GPU."""
    return (os.environ if environ is None else environ).get(SPOOF, "0") == "1"


def trains(*, spoof: bool) -> frozenset[TrainCell]:
    """Return what is trained; Unsloth cannot be its own CPU backend and the spoof at once."""
    encoders = train_cells(("contrastive",), ("lora",), ("cuda", "cpu") if spoof else ("cuda",))
    models = train_cells(("causal_lm",), ("lora", "qlora"), ("cuda",) if spoof else ("cuda", "cpu"))
    return encoders | models


def serves(*, spoof: bool) -> frozenset[ServeCell]:
    """Return what is loaded: by plain libraries, without importing Unsloth."""
    found = serve_cells(("base", "peft"), ("causal_lm",), ("cuda", "cpu"))
    devices: tuple[Device, ...] = ("cuda", "cpu") if spoof else ("cuda",)
    return found | serve_cells(("base", "peft"), ("contrastive",), devices)


OPTIONS = (
    Option(
        name="unsloth.checkpointing",
        type="bool",
        default=True,
        group="backend",
        help="compute activations of a language model again instead of keeping them",
        reason="what a step needs of memory falls to a fraction, for about a third more time",
    ),
)


def detect() -> Availability:
    """Say what is installed and which devices are at hand, in milliseconds; never raises."""
    try:
        missing = [name for name in NEEDS if find_spec(name) is None]
    except (ImportError, ValueError) as error:
        return Availability(reason=f"a broken installation: {error}", mend=MEND)
    if missing:
        return Availability(reason=f"{', '.join(missing)} not installed", mend=MEND)
    if has_cuda() and not spoofed():
        return Availability(devices=("cuda", "cpu"), priority=ON_CUDA)
    return Availability(devices=("cpu",), priority=ON_CPU)


def unfit(base: BaseModel, objective: str) -> str:
    """Say that Unsloth's encoders are others than ``base``; nothing if it is one of them.

    Its list is read from its source: importing Unsloth changes a process for good.
    """
    if objective != "contrastive":
        return ""
    known = literal("unsloth", "models/sentence_transformer.py", "ENCODER_MODEL_TYPES")
    try:
        told = json.loads((base.path / "config.json").read_text(encoding="utf-8"))
        kind = str(told["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # what is missing or damaged is told by loading
    if not isinstance(known, set) or kind in known:
        return ""
    return f"Unsloth's encoders are {', '.join(sorted(known))}, and {base.name} is a {kind}"


def backend() -> Backend:
    """Return the declaration, as the environment has it."""
    spoof = spoofed()
    return Backend(
        name="unsloth",
        title="Unsloth: NVIDIA GPUs, and language models on CPUs",
        train_cells=trains(spoof=spoof),
        serve_cells=serves(spoof=spoof),
        detect=detect,
        options=OPTIONS,
        bits=(NF4,),
        unfit=unfit,
    )
