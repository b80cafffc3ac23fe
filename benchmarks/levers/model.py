"""Vectors of a BERT encoder, and which of its weights are trained."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.levers.data import Data
from benchmarks.levers.lever import Lever


def vectors(model: Any, ids: torch.Tensor, mask: torch.Tensor, device: str) -> torch.Tensor:
    """Return mean-pooled vectors of length 1, float32."""
    kind = device.partition(":")[0]
    with torch.autocast(kind, dtype=torch.bfloat16):
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    hidden = hidden.float() * mask.unsqueeze(-1)
    pooled: torch.Tensor = hidden.sum(1) / mask.sum(1, keepdim=True)
    return F.normalize(pooled, dim=-1)


@torch.no_grad()
def embed(model: Any, data: Data, ids: list[list[int]], length: int) -> torch.Tensor:
    """Return vectors of all texts, the long ones first, in the order given."""
    was = model.training
    model.eval()
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    made = torch.zeros((len(ids), model.config.hidden_size), device=data.device)
    for at in range(0, len(order), 512):
        some = order[at : at + 512]
        made[some] = vectors(model, *data.batch([ids[i] for i in some], length), data.device)
    model.train(was)
    return made


class Low(torch.nn.Module):
    """A linear layer with LoRA matrices beside it."""

    def __init__(self, inner: torch.nn.Linear, rank: int) -> None:
        super().__init__()
        self.inner = inner
        self.a = torch.nn.Parameter(
            torch.empty(rank, inner.in_features, device=inner.weight.device)
        )
        torch.nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self.b = torch.nn.Parameter(
            torch.zeros(inner.out_features, rank, device=inner.weight.device)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output plus twice the low-rank product (alpha is twice the rank)."""
        made: torch.Tensor = self.inner(x) + 2.0 * F.linear(F.linear(x, self.a), self.b)
        return made


def tuned(model: Any, lever: Lever) -> list[dict[str, Any]]:
    """Freeze what the lever freezes; return AdamW's groups with their learning rates."""
    model.requires_grad_(False)
    layers = list(model.encoder.layer)
    kept = layers[-lever.top :] if lever.top else layers
    if lever.tuning == "lora":
        for layer in kept:
            for name, module in list(layer.named_modules()):
                if isinstance(module, torch.nn.Linear):
                    parent = layer.get_submodule(name.rpartition(".")[0])
                    setattr(parent, name.rpartition(".")[2], Low(module, lever.rank))
        found = [p for layer in kept for p in layer.parameters() if p.requires_grad]
        return [{"params": found, "lr": lever.learning_rate, "weight_decay": 0.0}]
    groups = []
    for depth, layer in enumerate(reversed(kept)):
        layer.requires_grad_(True)
        groups += _groups(layer, lever.learning_rate * lever.decay**depth, lever)
    if lever.embeddings and not lever.top:
        model.embeddings.requires_grad_(True)
        groups += _groups(model.embeddings, lever.learning_rate * lever.decay ** len(kept), lever)
    return groups


def _groups(module: Any, rate: float, lever: Lever) -> list[dict[str, Any]]:
    many = [p for p in module.parameters() if p.ndim > 1]
    few = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": many, "lr": rate, "weight_decay": lever.weight_decay},
        {"params": few, "lr": rate, "weight_decay": 0.0},
    ]
