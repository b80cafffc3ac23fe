"""A column of texts through the encoder in pieces of few different shapes.

A batch of 32 passages of 64 to 256 tokens is padded to half as many tokens again as it has; pieces
of like length to a few percent. And oneDNN compiles kernels for each new shape, which takes longer
than a step and keeps 20 MB a step: so lengths are rounded up, and rows go by powers of two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ragd_tune_cpu.columns import join, once

TOKENS = 4_096
"""Tokens of a piece at most, padding included.

Each piece adds a gradient as large as all weights, the table of words included. A step of 64 texts
of MedQuAD of up to 128 tokens took 4.25, 3.83 and 3.52 CPU seconds with 2,048, 4,096 and 6,144, one
of 96 texts of 64 tokens 2.89, 2.45 and 2.49: medians of seven in turn, by a loop that was not kept.
More tokens at once take more memory.
"""

KEPT = 1_750_000_000
"""Bytes of activations that a step keeps for its way back; what is beyond is computed again.

On a GPU, whose memory is there for nothing else, it is what is free where that is more.
"""

SHARE = 0.7
"""Of a GPU's free memory: the rest is for gradients, and for what the estimate leaves out."""


class Room:
    """What is left of :data:`KEPT` in one step: memory does not grow with the batch beyond it.

    A piece for which there is no room keeps its input alone, and runs forward once more on the way
    back, with the same dropout: the gradients are the same, and it takes a third longer.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        self.model = model
        self._token = per_token(model)
        wanted = torch.is_grad_enabled()
        self._left = max(KEPT, int(SHARE * free(model.device))) if wanted else 0

    def vectors(self, piece: dict[str, Tensor]) -> Tensor:
        """Return the vectors of one piece."""
        self._left -= piece["input_ids"].numel() * self._token if "input_ids" in piece else 0
        if self._left >= 0 or not torch.is_grad_enabled():
            return self._run(piece)
        again: Tensor = checkpoint(self._run, piece, use_reentrant=False)
        return again

    def _run(self, piece: dict[str, Tensor]) -> Tensor:
        made: Tensor = self.model(dict(piece))["sentence_embedding"]
        return made


def free(device: torch.device) -> int:
    """Return the bytes that a CUDA GPU has left for this process, 0 for other devices."""
    if device.type != "cuda":
        return 0
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def per_token(model: SentenceTransformer) -> int:
    """Return about how many bytes of activations one token leaves; 0 if the shape is not known.

    34 for each number of the hidden state in each layer, in 16 bits (Korthikanti et al. 2022,
    arXiv 2205.05198), and as much again for what stays in 32.
    """
    inner: Any = getattr(model[0], "auto_model", None)
    config = getattr(inner, "config", None)
    layers, width = getattr(config, "num_hidden_layers", 0), getattr(config, "hidden_size", 0)
    return 2 * 34 * int(layers or 0) * int(width or 0)


@contextmanager
def weights_cast_once() -> Iterator[None]:
    """Have all pieces share autocast's 16-bit copies of the weights, which else each piece makes.

    That is 22 MB a piece for MiniLM, kept until its way back. The copies are dropped at the end,
    so that the next step makes them of the weights as they are then.
    """
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()


@weights_cast_once()
def embed_columns(model: SentenceTransformer, columns: Sequence[dict[str, Tensor]]) -> list[Tensor]:
    """Return the vectors of the queries, and of each column of passages, one tensor a column.

    A passage that several rows bring, as one's answer and another's negative, is encoded once: on a
    CPU. To tell which are the same a GPU would have to wait, and encodes them quicker than that.
    """
    if not columns:
        return []
    room = Room(model)
    queries, passages = columns[0], list(columns[1:])
    made = [embed(model, queries, room)]
    if not _fit(model, passages):
        return made + [embed(model, column, room) for column in passages]
    vectors = embed_once(model, join(passages, _padding(model)), room)
    return [*made, *vectors.split([len(column["input_ids"]) for column in passages])]


def embed_once(model: SentenceTransformer, features: dict[str, Tensor], room: Room) -> Tensor:
    """Return the vectors of one column; equal rows are encoded once where that needs no wait."""
    if not on_cpu(features):
        return embed(model, features, room)
    distinct, back = once(features)
    return embed(model, distinct, room)[back]


def on_cpu(features: dict[str, Tensor]) -> bool:
    """Say whether looking into these tensors is free: elsewhere all queued work is waited for."""
    return features["attention_mask"].device.type == "cpu"


def _fit(model: SentenceTransformer, columns: Sequence[dict[str, Tensor]]) -> bool:
    """Say whether texts of these columns can lie in one tensor: those that are padded on the right.

    Their masks say so on a CPU; elsewhere the tokenizer has to.
    """
    if not columns or any("attention_mask" not in column for column in columns):
        return False
    if not on_cpu(columns[0]):
        return len(columns) > 1 and getattr(model.tokenizer, "padding_side", "") == "right"
    return all(bool(column["attention_mask"][:, 0].all()) for column in columns)


def _padding(model: SentenceTransformer) -> int:
    return getattr(model.tokenizer, "pad_token_id", None) or 0


def embed(
    model: SentenceTransformer, features: dict[str, Tensor], room: Room | None = None
) -> Tensor:
    """Return the vectors of one column, float32 (rows, dimension), in the order of its rows."""
    room = room or Room(model)
    pieces = cut(features)
    if not pieces:
        return room.vectors(features)
    limit, padding = model.max_seq_length, _padding(model)
    made = []
    for rows, length in pieces:
        width = min(rounded(length), max(length, int(limit))) if limit else length
        piece = take(features, rows, width, padding)
        made.append(room.vectors(piece))
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
    if not on_cpu(features) or mask.ndim != 2 or not bool(mask[:, 0].all()):
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
