"""A column of texts through the encoder in pieces of few different shapes.

A batch of 32 passages of 64 to 256 tokens is padded to half as many tokens again as it has; pieces
of like length to a few percent. And oneDNN compiles kernels for each new shape, which takes longer
than a step and keeps 20 MB a step: so lengths are rounded up, and rows go by powers of two.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor

TOKENS = 2_048
"""Tokens of a piece at most, padding included: enough to keep a few cores busy."""


def embed(model: SentenceTransformer, features: dict[str, Tensor]) -> Tensor:
    """Return the vectors of one column, float32 (rows, dimension), in the order of its rows."""
    pieces = cut(features)
    if not pieces:
        vectors: Tensor = model(features)["sentence_embedding"]
        return vectors
    limit = model.max_seq_length
    padding = getattr(model.tokenizer, "pad_token_id", None) or 0
    made = []
    for rows, length in pieces:
        width = min(rounded(length), max(length, int(limit))) if limit else length
        piece = take(features, rows, width, padding)
        made.append(model(piece)["sentence_embedding"])
    order = torch.cat([rows for rows, _ in pieces])
    return torch.cat(made)[torch.argsort(order)]


def cut(features: dict[str, Tensor]) -> list[tuple[Tensor, int]]:
    """Return (rows, tokens) of each piece, the longest texts first.

    None where cutting is no use: on a GPU, which takes the batch whole; where texts are padded on
    the left; where the features are not those of a transformer.
    """
    if "attention_mask" not in features:
        return []
    mask = features["attention_mask"]
    if mask.device.type != "cpu" or mask.ndim != 2 or not bool(mask[:, 0].all()):
        return []
    lengths = mask.sum(1)
    order = torch.argsort(lengths, descending=True, stable=True)
    pieces, start = [], 0
    while start < len(order):
        longest = int(lengths[order[start]])
        size = min(len(order) - start, max(1, TOKENS // rounded(longest)))
        size = 1 << (size.bit_length() - 1)
        pieces.append((order[start : start + size], longest))
        start += size
    return pieces


def rounded(length: int) -> int:
    """Return the number of tokens that ``length`` is padded to: a multiple of 16, 32 or 128."""
    step = 16 if length <= 64 else 32 if length <= 256 else 128
    return -(-length // step) * step


def take(features: dict[str, Tensor], rows: Tensor, width: int, padding: int) -> dict[str, Tensor]:
    """Return some rows, cut or padded to ``width`` tokens."""
    shape = features["attention_mask"].shape
    taken = {}
    for key, value in features.items():
        if getattr(value, "shape", None) != shape:  # a prompt's length belongs to all rows
            taken[key] = value
            continue
        found = value[rows, :width]
        fill = padding if key == "input_ids" else 0
        taken[key] = F.pad(found, (0, width - found.shape[1]), value=fill)
    return taken
