"""A loaded late-interaction model: the handle that the core keeps, and its token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.backends import LoadRequest, MultiVector
from ragd_tune.interchange import peft
from ragd_tune.plan import Device, ModelFacts, Role
from ragd_tune.training.facts import fitted
from ragd_tune_mlx import lora
from ragd_tune_mlx.embedder import unit
from ragd_tune_mlx.late.model import LateEncoder, Opened, build, open_folder, read_projection
from ragd_tune_mlx.late.tokens import LateTokenizer
from ragd_tune_mlx.session import on
from ragd_tune_mlx.shared import Base, Bases, SharedHandle
from ragd_tune_mlx.weights import as_numpy

if TYPE_CHECKING:
    from ragd_tune.backends import Dense

TOKENS_AT_ONCE = 16_384
"""Tokens of one forward pass at most: bounds the activations at any text length."""


_bases: Bases[Opened] = Bases()


class MultiEncoder(SharedHandle[Opened, LateEncoder]):
    """A loaded model with many vectors a text; :attr:`facts` says what it is."""

    def __init__(
        self,
        base: Base[Opened],
        model: LateEncoder,
        facts: ModelFacts,
        *,
        dimension: int,
        device: Device,
    ) -> None:
        super().__init__(base, model, facts)
        self._dimension = dimension
        self._device = device
        opened = base.held
        self._tokenizer = LateTokenizer(opened.folder, facts, lowercase=opened.lowercase)

    def embed(self, texts: Sequence[str], role: Role) -> MultiVector:
        """Return float32 token vectors; cut to the dimension asked for, and of unit length."""
        found: list[Dense] = [np.zeros((0, self._dimension), np.float32)] * len(texts)
        # Texts of like length go together: padding costs as much as text.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        size = max(1, min(64, TOKENS_AT_ONCE // min(self._facts.max_length, 512)))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            for row, vectors in zip(rows, self._some([texts[i] for i in rows], role), strict=True):
                found[row] = vectors
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(one) for one in found], out=offsets[1:])
        none = np.zeros((0, self._dimension), np.float32)
        return MultiVector(values=np.concatenate([none, *found]), offsets=offsets)

    def _some(self, texts: list[str], role: Role) -> list[Dense]:
        with on(self._device):
            words = self._tokenizer(texts, role)
            vectors = self.model(words)
            if self._dimension < self._facts.dimension:
                vectors = unit(vectors[..., : self._dimension])
            values, counted = as_numpy(vectors), as_numpy(words.counted) > 0
        return [one[there] for one, there in zip(values, counted, strict=True)]


def load(request: LoadRequest) -> MultiEncoder:
    """Load what ``request`` names, in float32 and in evaluation mode.

    :raises TuneError: the files do not make a model.
    """
    base_path, name = request.base.path, request.base.name
    with on(request.device):
        base = _bases.get(request, lambda: open_folder(base_path, name=name))
        own = base.held.facts(max_length=request.max_length)
        facts, dimension = fitted(request.facts or own, request)
        model = _model(base.held, request, facts)
    return MultiEncoder(base, model, facts, dimension=dimension, device=request.device)


def _model(opened: Opened, request: LoadRequest, facts: ModelFacts) -> LateEncoder:
    if request.format != "peft":
        return build(opened, opened.drawn(facts.dimension))
    assert request.adapter is not None
    hidden = int(opened.config["hidden_size"])
    project = read_projection(request.adapter, dimension=facts.dimension, hidden=hidden)
    model = build(opened, project)
    lora.attach(model.transformer, peft.read(request.adapter), where=str(request.adapter))
    return model
