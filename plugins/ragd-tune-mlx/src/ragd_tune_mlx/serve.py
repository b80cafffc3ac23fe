"""Loaded embedders: many adapters on one base's arrays, each a handle of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ragd_tune.backends import LoadRequest
from ragd_tune.interchange import peft
from ragd_tune.plan import Device, ModelFacts, Role
from ragd_tune.training.facts import fitted
from ragd_tune_mlx import lora, recipe
from ragd_tune_mlx.embedder import Embedder, build, read_arrays, unit
from ragd_tune_mlx.recipe import Recipe
from ragd_tune_mlx.session import on
from ragd_tune_mlx.shared import Base, Bases, SharedHandle
from ragd_tune_mlx.tokens import Tokenizer
from ragd_tune_mlx.weights import Arrays, as_numpy

if TYPE_CHECKING:
    from ragd_tune.backends import Dense

TOKENS_AT_ONCE = 16_384
"""Tokens of one forward pass at most: bounds the activations at any text length."""


class Parts(NamedTuple):
    """A base's recipe, and its arrays by name."""

    recipe: Recipe
    arrays: Arrays

    @classmethod
    def read(cls, folder: Path, name: str) -> Parts:
        """Read them from a folder."""
        found = recipe.read(folder, name=name)
        return cls(found, read_arrays(found))


_bases: Bases[Parts] = Bases()


class Encoder(SharedHandle[Parts, Embedder]):
    """A loaded model; :attr:`facts` says what it is."""

    def __init__(
        self,
        base: Base[Parts],
        model: Embedder,
        tokenizer: Tokenizer,
        facts: ModelFacts,
        *,
        dimension: int,
        device: Device,
    ) -> None:
        super().__init__(base, model, facts)
        self._tokenizer = tokenizer
        self._dimension = dimension
        self._device = device

    def embed(self, texts: Sequence[str], role: Role) -> Dense:
        """Return float32 vectors of shape (n, dimension); (0, dimension) for no texts."""
        found = np.zeros((len(texts), self._dimension), np.float32)
        prompt = self._facts.prompts.get(role, "")
        # Texts of like length go together: padding costs as much as text.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        size = max(1, min(64, TOKENS_AT_ONCE // min(self._facts.max_length, 512)))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            found[rows] = self._vectors([prompt + texts[i] for i in rows])
        return found

    def _vectors(self, texts: list[str]) -> Dense:
        with on(self._device):
            vectors = self.model(self._tokenizer(texts))[:, : self._dimension]
            return as_numpy(unit(vectors) if self._facts.normalise else vectors)


def load(request: LoadRequest) -> Encoder:
    """Load what ``request`` names, in float32 and in evaluation mode.

    :raises TuneError: the files do not make a model.
    """
    with on(request.device):
        base = _base(request)
        found, arrays = base.held
        model = build(found, arrays)
        if request.format == "peft":
            assert request.adapter is not None
            adapter = peft.read(request.adapter)
            lora.attach(model.transformer, adapter, where=str(request.adapter))
    facts, dimension = fitted(request.facts or found.facts, request)
    limit = min(facts.max_length, found.facts.max_length)
    tokenizer = Tokenizer(found.folder, length=limit, lowercase=found.lowercase)
    return Encoder(base, model, tokenizer, facts, dimension=dimension, device=request.device)


def _base(request: LoadRequest) -> Base[Parts]:
    if request.format == "full":
        assert request.adapter is not None
        return Base(Parts.read(request.adapter, str(request.adapter)))
    return _bases.get(request, lambda: Parts.read(request.base.path, request.base.name))
