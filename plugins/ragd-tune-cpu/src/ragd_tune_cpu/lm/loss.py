"""The loss of a completion's tokens, over parts of a batch: padded, or packed into one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ragd_tune.objectives import Sample
from ragd_tune_cpu.pieces import rounded

IGNORED = -100
"""The label of a token that nothing is learned from (PyTorch's own default)."""


def summed(
    model: Any, samples: Sequence[Sample], *, device: str, padding: int, packed: bool
) -> Tensor:
    """Return the sum of the losses of all learnt tokens of ``samples``, float32, shape ().

    Only positions that predict a learnt token get logits: a vocabulary of 150,000 words makes them
    the largest tensor of all.
    """
    inputs, labels = (pack if packed else pad)(samples, device=device, padding=padding)
    logits = model(**inputs, use_cache=False).logits
    return F.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )


def pad(
    samples: Sequence[Sample], *, device: str, padding: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the samples as rows of one tensor, padded on the right, and the labels."""
    longest = max(len(sample.ids) for sample in samples)
    width = rounded(longest) if device == "cpu" else longest
    first = min(sample.start for sample in samples) - 1
    ids = torch.full((len(samples), width), padding)
    mask = torch.zeros_like(ids)
    labels = torch.full((len(samples), width - first), IGNORED)
    for row, sample in enumerate(samples):
        length = len(sample.ids)
        found = torch.tensor(sample.ids)
        ids[row, :length], mask[row, :length] = found, 1
        # the logits of a position predict the token after it
        labels[row, sample.start - 1 - first : length - 1 - first] = found[sample.start :]
    inputs = {
        "input_ids": ids.to(device),
        "attention_mask": mask.to(device),
        "logits_to_keep": torch.arange(first, width, device=device),
    }
    return inputs, labels.to(device)


def pack(
    samples: Sequence[Sample], *, device: str, padding: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the samples as one sequence whose positions start again, and the labels.

    Without a mask, transformers reads from the positions where a sample begins, and lets none see
    another.
    """
    ids = torch.cat([torch.tensor(sample.ids) for sample in samples])
    positions = torch.cat([torch.arange(len(sample.ids)) for sample in samples])
    labels = torch.cat([torch.tensor(sample.ids[sample.start :]) for sample in samples])
    keep, at = [], 0
    for sample in samples:
        keep.append(torch.arange(at + sample.start - 1, at + len(sample.ids) - 1))
        at += len(sample.ids)
    inputs = {
        "input_ids": ids.long()[None].to(device),
        "position_ids": positions[None].to(device),
        "logits_to_keep": torch.cat(keep).to(device),
    }
    return inputs, labels.long()[None].to(device)
