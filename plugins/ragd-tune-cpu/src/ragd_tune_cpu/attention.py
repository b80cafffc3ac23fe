"""Attention whose way back is fast on a CPU.

PyTorch's fused attention runs forward well on a CPU, and in bfloat16 backward without the
processor's matrix instructions: that was 44% of a training step of MiniLM. Here the way back is
five matrix products, with the probabilities computed again from queries and keys (as in
FlashAttention, Dao et al. 2022, arXiv 2205.14135), a few texts at a time, so that they stay in the
processor's cache. CPU-milliseconds forward and backward, 12 heads, one thread, by
``python benchmarks/attention.py`` beside other work:

====================  ==========  ====
texts × tokens, bf16  PyTorch's   ours
====================  ==========  ====
32 × 32               46          11
16 × 128              84          31
8 × 256               66          69
4 × 512               94          158
====================  ==========  ====
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

NAME = "ragd_tune_cpu"
LONGEST = 192
"""Tokens up to which ours is the faster one.

Whole steps of MiniLM take 25% less at 128 tokens, and as long at 256. In float32 PyTorch's own is
always faster.
"""

AT_ONCE = 400_000
"""Probabilities at once: 1.6 MB of float32, which a core's second cache holds."""


def use(model: Any) -> None:
    """Have a transformer on a CPU attend so, where it would have used PyTorch's fused attention."""
    config = getattr(model, "config", None)
    if model is None or getattr(config, "_attn_implementation", None) != "sdpa":
        return
    if {parameter.device.type for parameter in model.parameters()} != {"cpu"}:
        return
    AttentionInterface.register(NAME, forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Do what transformers asks of an attention.

    (batch, heads, tokens, width) go in, and (batch, tokens, heads, width) comes out.
    """
    plain = not (dropout or kwargs.get("is_causal") or kwargs.get("position_bias") is not None)
    short = query.dtype == torch.bfloat16 and key.shape[2] <= LONGEST
    if not (plain and short and query.shape == key.shape and torch.is_grad_enabled()):
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    made: Tensor = Attention.apply(query, key, value, attention_mask, scale)  # type: ignore[no-untyped-call]
    return made.transpose(1, 2).contiguous(), None


class Attention(torch.autograd.Function):
    """softmax(scale · Q Kᵀ + mask) V."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """Return (batch, heads, tokens, width)."""
        made = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
        ctx.save_for_backward(query, key, value, mask, made)
        ctx.scale = scale
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of queries, keys and values."""
        query, key, value, mask, made = ctx.saved_tensors
        (grad,) = grads
        found = tuple(torch.empty_like(tensor) for tensor in (query, key, value))
        passed = (grad.float() * made.float()).sum(-1, keepdim=True)
        one = query.shape[1] * query.shape[2] * key.shape[2]
        for part in torch.arange(len(query)).split(max(1, AT_ONCE // one)):
            rows = slice(int(part[0]), int(part[-1]) + 1)
            # Whole in memory once, or each product would make its own copy.
            q, k, v, g = (t[rows].contiguous() for t in (query, key, value, grad))
            share = _shares(q, k, _added(mask, rows), ctx.scale)
            change = (g @ v.transpose(-1, -2)).float().sub_(passed[rows])
            change = change.mul_(share).mul_(ctx.scale).to(query.dtype)
            found[0][rows] = change @ k
            found[1][rows] = change.transpose(-1, -2) @ q
            found[2][rows] = share.to(value.dtype).transpose(-1, -2) @ g
        return *found, None, None


def _shares(query: Tensor, key: Tensor, added: Tensor | None, scale: float) -> Tensor:
    """Return what each token takes of each other: float32, summing to 1."""
    odds = (query @ key.transpose(-1, -2)).float().mul_(scale)
    return torch.softmax(odds if added is None else odds.add_(added), -1)


def _added(mask: Tensor | None, rows: slice) -> Tensor | None:
    """Return some rows of the mask as numbers to add."""
    if mask is None:
        return None
    part = mask[rows] if len(mask) > 1 else mask
    if part.stride(-2) == 0:
        part = part[:, :, :1]  # the same for every token
    if part.dtype != torch.bool:
        return part.float()
    return torch.zeros(part.shape).masked_fill_(~part, torch.finfo(torch.float32).min)
