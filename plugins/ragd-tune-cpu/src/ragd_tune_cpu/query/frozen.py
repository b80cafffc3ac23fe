"""Vectors that training leaves alone: each text is embedded once, by the bare base.

The vector of a text must not depend on the texts beside it, not in its last bit either: else a row
would reach into steps that it has no part in. So a text goes through the model in a block whose
shape is that of its own length: as many rows as that length allows, filled up where there are not
so many.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from ragd_tune.plan import Role
from ragd_tune_cpu.base import transformer
from ragd_tune_cpu.pieces import TOKENS, rounded, take

READ = 1024
"""Texts that are measured at once."""

MEASURED = 3
"""Blocks that an estimate times: of the shortest texts, of the middle, and of the longest."""

Bare = Callable[[], contextlib.AbstractContextManager[object]]
"""Makes a context in which the model is the bare base, whatever was put into it."""

Block = tuple[list[str], int]
"""Texts, and the tokens that each of them is padded to: 0 where they are taken as they come."""


@dataclass(kw_only=True)
class Frozen:
    """The vectors of some texts under one role, float32, of length 1.

    ``length`` are the tokens that a text is cut to.
    """

    model: SentenceTransformer
    texts: Sequence[str]
    role: Role
    prompt: str
    length: int
    bare: Bare
    _places: dict[str, int] = field(default_factory=dict)
    _vectors: Tensor | None = None

    def __call__(self, texts: Iterable[str]) -> Tensor:
        """Return the vectors of ``texts``, float32 (n, dimension)."""
        assert self._vectors is not None, "they are made before the first step"
        return self._vectors[[self._places[text] for text in texts]]

    def __len__(self) -> int:
        return len(set(self.texts))

    def fill(self) -> None:
        """Embed every text."""
        with self._ready():
            blocks = self._blocks()
            self._keep(blocks, torch.cat([self._embed(*block) for block in blocks]))

    def seconds(self) -> float:
        """Return about how long :meth:`fill` takes; noise stands for the vectors after it.

        A few blocks are timed. They come in the order of their lengths, so the time of one between
        two of them lies between theirs.
        """
        with self._ready():
            begun = time.perf_counter()
            blocks = self._blocks()
            reading = time.perf_counter() - begun
            at = np.linspace(0, len(blocks) - 1, MEASURED)
            size, times = 1, []
            for block in (blocks[int(place)] for place in at):
                self._embed(*block)  # what is compiled for a new shape
                begun = time.perf_counter()
                size = self._embed(*block).shape[1]
                times.append(time.perf_counter() - begun)
        noise = torch.randn((len(self), size), generator=torch.Generator().manual_seed(0))
        self._keep(blocks, torch.nn.functional.normalize(noise, dim=1))
        return reading + float(np.interp(np.arange(len(blocks)), at, times).sum())

    def _keep(self, blocks: Sequence[Block], vectors: Tensor) -> None:
        every = (text for texts, _ in blocks for text in texts)
        self._places = {text: place for place, text in enumerate(every)}
        self._vectors = vectors

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        was_training = self.model.training
        self.model.eval()
        with self.bare(), limited(self.model, self.length), torch.no_grad():
            yield
        self.model.train(was_training)

    def _features(self, texts: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = self.model.preprocess(
            texts, prompt=self.prompt or None, task=self.role
        )
        return found

    def _blocks(self) -> list[Block]:
        """Return all texts in blocks, those of the fewest tokens first."""
        by_width: dict[int, list[str]] = {}
        every = list(dict.fromkeys(self.texts))
        for start in range(0, len(every), READ):
            some = every[start : start + READ]
            for text, width in zip(some, self._widths(some), strict=True):
                by_width.setdefault(width, []).append(text)
        return [
            (texts[start : start + rows(width)], width)
            for width, texts in sorted(by_width.items())
            for start in range(0, len(texts), rows(width))
        ]

    def _widths(self, texts: list[str]) -> list[int]:
        mask = self._features(texts).get("attention_mask")
        if mask is None or mask.ndim != 2 or not bool(mask[:, 0].all()):
            return [0] * len(texts)
        return [max(n, min(rounded(n), self.length)) for n in mask.sum(1).tolist()]

    def _embed(self, texts: list[str], width: int) -> Tensor:
        features = self._features(texts)
        if width:
            filled = [*range(len(texts)), *[0] * (rows(width) - len(texts))]
            padding = getattr(self.model.tokenizer, "pad_token_id", None) or 0
            features = take(features, torch.tensor(filled), width, padding)
        on = {
            k: v.to(self.model.device) if isinstance(v, Tensor) else v for k, v in features.items()
        }
        vectors: Tensor = self.model(on)["sentence_embedding"][: len(texts)]
        return torch.nn.functional.normalize(vectors.float(), dim=1).cpu()


def rows(width: int) -> int:
    """Return how many texts of ``width`` tokens make a block: a power of two."""
    return 1 << (max(1, TOKENS // max(width, 16)).bit_length() - 1)


@contextlib.contextmanager
def limited(model: SentenceTransformer, length: int) -> Iterator[None]:
    """Cut texts to ``length`` tokens, and to what was the limit again afterwards."""
    if transformer(model) is None:  # static embeddings have no positions to run out of
        yield
        return
    before = model.max_seq_length
    model.max_seq_length = length
    try:
        yield
    finally:
        model.max_seq_length = before


@dataclass(kw_only=True)
class Ahead:
    """The work before the first step: see :class:`ragd_tune_cpu.trainee.Ahead`."""

    parts: Sequence[Frozen]
    around: Bare = contextlib.nullcontext

    @property
    def message(self) -> str:
        """What a user is told while it runs."""
        told = [f"{len(part):,} {_NAMES[part.role]}" for part in self.parts]
        return f"embedding {' and '.join(told)} by the bare base, once"

    def run(self) -> None:
        """Embed everything that stays as it is."""
        with self.around():
            for part in self.parts:
                part.fill()

    def seconds(self) -> float:
        """Return about how long :meth:`run` takes; the steps can be timed after it."""
        with self.around():
            return sum(part.seconds() for part in self.parts)


_NAMES: dict[Role, str] = {"query": "queries", "document": "documents"}
