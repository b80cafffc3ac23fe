"""The contrastive objective in PyTorch, and the number format that it is computed in."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base import BaseModel as Network
from sentence_transformers.sentence_transformer.losses import (
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)
from torch import Tensor

from ragd_tune.plan import TrainPlan
from ragd_tune.training.facts import dimensions, shares
from ragd_tune_cpu import attention, casts
from ragd_tune_cpu.base import transformer
from ragd_tune_cpu.many.group import GROUP
from ragd_tune_cpu.pieces import embed_columns
from ragd_tune_cpu.trainee import Collate


class InBatchSoftmax(MultipleNegativesRankingLoss):
    """The library's loss, with texts embedded once each, in pieces of texts of like length."""

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Return the mean loss of the batch."""
        own = embed_columns(self.model, list(sentence_features))
        vectors = GROUP.everyone(own)
        loss = self.compute_loss_from_embeddings(vectors, labels)
        if not own:  # one of several processes, without a row of this batch: its gradients are zero
            loss = loss + 0.0 * sum(p.sum() for p in self.parameters() if p.requires_grad)
        return loss


def cheap_attention(model: Network) -> None:
    """Attend by :mod:`ragd_tune_cpu.attention`, without dropout of attention weights.

    The dropout of the hidden states stays.

    The fused attention has none: with it, PyTorch writes every attention matrix out. On 32
    passages of 256 tokens through MiniLM that takes 5.3 CPU-seconds and 4.4 GB a step, without it
    2.9 CPU-seconds and 2.1 GB.
    """
    for module in model.modules():
        if "Attention" not in type(module).__name__:
            continue
        for name in ("dropout", "attention_dropout", "dropout_prob", "attn_dropout"):
            found = getattr(module, name, None)
            if isinstance(found, torch.nn.Dropout):
                found.p = 0.0
            elif isinstance(found, float):
                setattr(module, name, 0.0)
    first = transformer(model)
    if first is not None:
        attention.use(first.auto_model)


def set_dropout(model: Network, share: float) -> None:
    """Have all layers drop ``share`` of their numbers, but for attention weights and LoRA's own."""
    for name, module in model.named_modules():
        if "lora_" in name or "Attention" in type(module).__name__:
            continue
        for part, found in module.named_children():
            if isinstance(found, torch.nn.Dropout) and "lora_" not in part:
                found.p = share


def contrastive(model: SentenceTransformer, plan: TrainPlan) -> torch.nn.Module:
    """Return the in-batch softmax over cosines (van den Oord et al. 2018, arXiv 1807.03748).

    With ``matryoshka_dims``, its mean over the full vector and each leading part
    (Kusupati et al. 2022, arXiv 2205.13147), by :func:`ragd_tune.training.facts.shares`.
    """
    loss = InBatchSoftmax(model, scale=1.0 / plan.number("temperature"))
    full = model.get_embedding_dimension()
    assert full is not None
    dims = dimensions(plan, full)
    if not dims:
        return loss
    # A mean, and not sentence-transformers' sum: the learning rate must not grow with their number.
    return MatryoshkaLoss(model, loss, list(dims), shares(dims))


def has_fast_bf16(device: str) -> bool:
    """Say whether bfloat16 is faster than float32 on ``device``: native instructions for it."""
    if device == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    if device == "mps":
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


def uses_bf16(plan: TrainPlan) -> bool:
    """Say whether the forward pass of ``plan`` is in bfloat16 on this machine."""
    wanted = plan.options["precision"]
    return wanted == "bf16" or (wanted == "auto" and has_fast_bf16(plan.device))


@contextlib.contextmanager
def precision(model: Network, plan: TrainPlan) -> Iterator[None]:
    """Run the encoder under bfloat16 autocast, and everything after it in float32.

    Pooling and softmax stay in float32: a cosine in bfloat16 has two digits, and the temperature
    multiplies its error by 20.
    """
    if not uses_bf16(plan):
        yield
        return
    encoder = model[0]
    plain = encoder.forward

    @functools.wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> dict[str, Any]:
        with torch.autocast(plan.device, dtype=torch.bfloat16):
            made: dict[str, Any] = plain(*args, **kwargs)
        for name in ("token_embeddings", "sentence_embedding", "scores"):
            if name in made:
                made[name] = made[name].float()
        return made

    encoder.forward = forward
    try:
        with _frozen_in_16_bits(encoder), casts.fewer(encoder, plan):
            yield
    finally:
        del encoder.forward


@contextlib.contextmanager
def _frozen_in_16_bits(encoder: torch.nn.Module) -> Iterator[None]:
    """Hold the weights that are not trained in bfloat16 meanwhile.

    Autocast keeps its copies of trained weights alone, and would make those of a LoRA's base anew
    for each piece of each batch.
    """
    frozen = [
        (module, name, parameter)
        for module in encoder.modules()
        if isinstance(module, torch.nn.Linear)
        for name, parameter in module.named_parameters(recurse=False)
        if not parameter.requires_grad
    ]
    for module, name, parameter in frozen:
        short = parameter.to(torch.bfloat16)
        setattr(module, name, torch.nn.Parameter(short, requires_grad=False))
    try:
        yield
    finally:
        for module, name, parameter in frozen:
            setattr(module, name, parameter)


@torch.no_grad()
def held_out(
    loss: torch.nn.Module, collate: Collate, groups: Sequence[Sequence[int]], device: str
) -> float:
    """Return the mean loss over batches of held-out rows, without dropout."""
    was_training = loss.training
    loss.eval()
    total = 0.0
    for group in groups:
        batch = collate([{"row": index} for index in GROUP.share(group)])
        features = [
            {
                key.removeprefix(f"{column}_"): _on(value, device)
                for key, value in batch.items()
                if key.startswith(f"{column}_")
            }
            for column in ("query", "positive", "negative", "pair")
            if any(key.startswith(f"{column}_") for key in batch)
        ]
        total += float(loss(features, _on(batch.get("label"), device)))
    loss.train(was_training)
    return total / len(groups)


def _on(value: Any, device: str) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value
