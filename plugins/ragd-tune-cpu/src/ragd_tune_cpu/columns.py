"""Columns of texts as tensors: below each other, and equal rows once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Features = dict[str, Tensor]


def join(columns: Sequence[Features], padding: int) -> Features:
    """Return the columns, padded on the right, below each other in one width."""
    kept = [k for k, v in columns[0].items() if is_row(v, columns[0])]
    width = max(column["attention_mask"].shape[1] for column in columns)
    joined = dict(columns[0])
    for key in kept:
        fill = padding if key == "input_ids" else 0
        joined[key] = torch.cat(
            [F.pad(c[key], (0, width - c[key].shape[1]), value=fill) for c in columns]
        )
    return joined


def once(features: Features) -> tuple[Features, Tensor]:
    """Return the distinct rows, and where each of the given rows is among them."""
    mask, ids = features["attention_mask"], features["input_ids"]
    seen: dict[bytes, int] = {}
    texts = [bytes(row.numpy()) for row in torch.where(mask > 0, ids, -1)]
    back = [seen.setdefault(text, len(seen)) for text in texts]
    first = torch.tensor([texts.index(text) for text in seen])
    taken = {k: v[first] if is_row(v, features) else v for k, v in features.items()}
    return taken, torch.tensor(back)


def is_row(value: object, features: Features) -> bool:
    """Say whether ``value`` has a number for each token; else it is about the whole column."""
    return getattr(value, "shape", None) == features["attention_mask"].shape
