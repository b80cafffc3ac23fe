"""The table of word vectors, whose gradient is summed in place.

PyTorch makes a gradient as large as the table for each piece of a batch and adds them up: 47 MB for
MiniLM, eight times a step, for a few thousand rows that are not zero.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FEWEST = 4_096
"""Rows below which a table is left as it is: positions and token types."""


def use(model: torch.nn.Module) -> None:
    """Have the trained tables of ``model`` that lie on a CPU sum their gradients so."""
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding) and _plain(module):
            module.forward = Lookup(module)  # type: ignore[method-assign, assignment]


def _plain(module: torch.nn.Embedding) -> bool:
    weight = module.weight
    here = weight.requires_grad and weight.device.type == "cpu" and len(weight) >= FEWEST
    special = module.max_norm is not None or module.scale_grad_by_freq or module.sparse
    return here and not special


class Lookup:
    """What such a table does with ids."""

    def __init__(self, module: torch.nn.Embedding) -> None:
        self.module = module

    def __call__(self, ids: Tensor) -> Tensor:
        """Return the rows of ``ids``, (…, width)."""
        weight, padding = self.module.weight, self.module.padding_idx
        made: Tensor = _Rows.apply(weight, ids, padding)  # type: ignore[no-untyped-call]
        return made


class _Rows(torch.autograd.Function):
    """Rows of a table; on the way back they are added to its ``grad``, and nothing is returned."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None) -> Tensor:
        ctx.save_for_backward(weight, ids)
        ctx.padding = padding
        return F.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None]:
        weight, ids = ctx.saved_tensors
        flat = ids.reshape(-1)
        rows = grads[0].reshape(len(flat), -1).to(weight.dtype)
        if ctx.padding is not None:  # as nn.Embedding, which does not train that row
            rows = rows.masked_fill((flat == ctx.padding).unsqueeze(1), 0.0)
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        weight.grad.index_add_(0, flat, rows)
        return None, None, None
