"""Fewer copies between 16 and 32 bits around LoRA matrices on a GPU, where each is a launch.

Under autocast a layer norm gives float32. PEFT then has each layer cast it for the base's weights
and again for its own, and casts what comes in 16 bits to 32 and back: in a layer of BERT that is
twelve copies forward and twelve back, of which the way back keeps seven. Here they are two.

What a layer computes stays bit for bit what it was. Gradients that meet at a shared copy are summed
in 16 bits, and so not on a CPU, whose results do not change.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ragd_tune.plan import TrainPlan


@contextlib.contextmanager
def fewer(model: torch.nn.Module, plan: TrainPlan) -> Iterator[None]:
    """Have the LoRA layers of ``model`` share casts meanwhile, where ``plan`` runs on a GPU.

    DoRA and layers in four bits cast by rules of their own, and keep them.
    """
    if plan.device != "cuda" or plan.tuning != "lora":
        yield
        return
    with shared(model, plan.device):
        yield


@contextlib.contextmanager
def shared(model: torch.nn.Module, device: str) -> Iterator[None]:
    """Have the LoRA layers of ``model`` take one 16-bit copy of an input under autocast."""
    # here, and not above: who serves a model without an adapter needs no PEFT
    from peft.helpers import disable_input_dtype_casting
    from peft.tuners.lora import LoraLayer

    layers: list[torch.nn.Module] = [m for m in model.modules() if isinstance(m, LoraLayer)]
    once = _Once(device)
    hooks = [layer.register_forward_pre_hook(once) for layer in layers]
    try:
        with disable_input_dtype_casting(model):
            yield
    finally:
        for hook in hooks:
            hook.remove()


class _Once:
    """Casts a layer's input; for the layers after it that read the same one, the copy is there."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._of: weakref.ref[Tensor] | None = None
        self._version = -1
        self._made: Tensor | None = None

    def __call__(self, layer: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not given or not torch.is_autocast_enabled(self.device):
            return None
        found, *others = given
        return (self._short(found), *others) if found.dtype is torch.float32 else None

    def _short(self, found: Tensor) -> Tensor:
        if found.is_inference():  # whether such a one has changed meanwhile is not known
            return found.to(torch.get_autocast_dtype(self.device))
        known = self._made
        same = self._of is not None and self._of() is found and self._version == found._version
        # Without gradients a copy leads nowhere back, and the other way round.
        if same and known is not None and known.requires_grad == _learns(found):
            return known
        made = found.to(torch.get_autocast_dtype(self.device))
        self._of, self._version, self._made = weakref.ref(found), found._version, made
        return made


def _learns(found: Tensor) -> bool:
    return found.requires_grad and torch.is_grad_enabled()
