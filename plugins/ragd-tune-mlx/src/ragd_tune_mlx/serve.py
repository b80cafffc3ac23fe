"""Loaded embedders: many adapters on one base's arrays, each a handle of its own."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import mlx.core as mx
import numpy as np

from ragd_tune.backends import LoadRequest
from ragd_tune.errors import TuneError, UsageError
from ragd_tune.interchange import peft
from ragd_tune.plan import Device, ModelFacts, Role
from ragd_tune_mlx import lora, recipe
from ragd_tune_mlx.embedder import Embedder, build, read_arrays, unit
from ragd_tune_mlx.recipe import Recipe
from ragd_tune_mlx.session import on
from ragd_tune_mlx.tokens import Tokenizer
from ragd_tune_mlx.weights import Arrays, as_numpy

if TYPE_CHECKING:
    from ragd_tune.backends import Dense

TOKENS_AT_ONCE = 16_384
"""Tokens of one forward pass at most: bounds the activations at any text length."""


class Base:
    """A base's arrays. Nothing writes to an array of MLX, so all models on it share them.

    So an adapter is put on and taken off without a copy, and what is left is the base exactly.
    """

    def __init__(self, made_from: Recipe, arrays: Arrays) -> None:
        self.recipe = made_from
        self.arrays = arrays


_bases: WeakValueDictionary[tuple[str, str, str], Base] = WeakValueDictionary()
"""Bases that some open handle uses, by fingerprint, place and device."""


class Encoder:
    """A loaded model; :attr:`facts` says what it is."""

    def __init__(
        self,
        base: Base,
        model: Embedder,
        tokenizer: Tokenizer,
        facts: ModelFacts,
        *,
        dimension: int,
        device: Device,
    ) -> None:
        self._base: Base | None = base
        self._model: Embedder | None = model
        self._tokenizer = tokenizer
        self._facts = facts
        self._dimension = dimension
        self._device = device

    @property
    def facts(self) -> ModelFacts:
        """What was loaded."""
        return self._facts

    @property
    def base(self) -> Base:
        """The base that the model computes with.

        :raises TuneError: it was closed.
        """
        if self._base is None:
            raise TuneError("this model was closed")
        return self._base

    @property
    def model(self) -> Embedder:
        """The loaded model.

        :raises TuneError: it was closed.
        """
        if self._model is None:
            raise TuneError("this model was closed")
        return self._model

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

    def close(self) -> None:
        """Give the memory back; the base stays while another handle uses it."""
        self._model = self._base = None
        gc.collect()
        mx.clear_cache()


def load(request: LoadRequest) -> Encoder:
    """Load what ``request`` names, in float32 and in evaluation mode.

    :raises TuneError: the files do not make a model.
    """
    with on(request.device):
        base = _base(request)
        model = build(base.recipe, base.arrays)
        if request.format == "peft":
            assert request.adapter is not None
            adapter = peft.read(request.adapter)
            lora.attach(model.transformer, adapter, where=str(request.adapter))
    facts = request.facts or base.recipe.facts
    length = min(request.max_length or facts.max_length, facts.max_length)
    facts = replace(facts, max_length=length)
    found = base.recipe
    limit = min(length, found.facts.max_length)
    tokenizer = Tokenizer(found.folder, length=limit, lowercase=found.lowercase)
    dimension = request.dimension or facts.dimension
    if not 0 < dimension <= facts.dimension:
        raise UsageError(
            f"dimension {dimension} cannot be had of vectors with {facts.dimension}",
            mend=f"take 1 to {facts.dimension}",
        )
    return Encoder(base, model, tokenizer, facts, dimension=dimension, device=request.device)


def _base(request: LoadRequest) -> Base:
    if request.format == "full":
        assert request.adapter is not None
        found = recipe.read(request.adapter, name=str(request.adapter))
        return Base(found, read_arrays(found))
    key = (request.base.fingerprint, str(request.base.path), request.device)
    known = _bases.get(key)
    if known is None:
        found = recipe.read(request.base.path, name=request.base.name)
        known = _bases[key] = Base(found, read_arrays(found))
    return known
