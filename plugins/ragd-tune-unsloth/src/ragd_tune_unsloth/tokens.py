"""A base's tokenizer, and rows of tokens as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from ragd_tune.errors import TuneError
from ragd_tune.objectives import Sample
from ragd_tune.plan import BaseModel
from ragd_tune.training.facts import limit

IGNORED = -100
"""The label of a token that the loss is not on."""


def tokenizer_of(base: BaseModel) -> Any:
    """Load the tokenizer; what pads is an end token where it has no padding of its own."""
    try:
        found: Any = AutoTokenizer.from_pretrained(
            str(base.path), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        text = f"base model {base.name}: its tokenizer cannot be loaded: {error}"
        raise TuneError(text) from error
    if found.pad_token_id is None:
        found.pad_token = found.eos_token
    return found


def context(config: Any, tokenizer: Any) -> int:
    """Return how many tokens prompt and answer may have together."""
    return limit(getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)


def padded(samples: Sequence[Sample], *, padding: int, device: str) -> dict[str, Tensor]:
    """Return samples padded on the right: ids, mask and labels, int64 (rows, longest)."""
    width = max(len(sample.ids) for sample in samples)
    shape = (len(samples), width)
    ids = torch.full(shape, padding, dtype=torch.int64)
    mask = torch.zeros(shape, dtype=torch.int64)
    labels = torch.full(shape, IGNORED, dtype=torch.int64)
    for row, sample in enumerate(samples):
        size = len(sample.ids)
        ids[row, :size] = torch.tensor(sample.ids, dtype=torch.int64)
        mask[row, :size] = 1
        labels[row, sample.start : size] = ids[row, sample.start : size]
    made = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    return {name: tensor.to(device) for name, tensor in made.items()}
