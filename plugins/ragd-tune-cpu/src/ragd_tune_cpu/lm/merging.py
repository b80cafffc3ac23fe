"""An adapter on its base again: beside the weights, or merged into them in full precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ragd_tune_cpu.lm.base import load_model
from ragd_tune_cpu.lora import beside


def put_on(model: Any, adapter: Path, *, merge: bool) -> Any:
    """Return ``model`` with the adapter in ``adapter``, merged into its weights or beside them.

    :raises TuneError: a tensor is missing, or one is left over: it was made for another base.
    """
    wrapped = beside(model, adapter)
    return (wrapped.merge_and_unload() if merge else wrapped).eval()


def merged(base: Path, name: str, adapter: Path | None) -> Any:
    """Return the base in float32 on the CPU, unquantised, with ``adapter`` merged into it.

    A merge into four-bit weights would round the update away, and one into 16 bits part of it.
    """
    model = load_model(base, name=name, device="cpu", dtype=torch.float32, four_bits=None)
    return model if adapter is None else put_on(model, adapter, merge=True)
