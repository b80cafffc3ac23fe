"""A loaded query adapter: queries go through it, documents through the bare base."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from ragd_tune.backends import Computed, LoadRequest
from ragd_tune.errors import UsageError
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.training.facts import fitted
from ragd_tune.unit import unit
from ragd_tune_cpu import lora
from ragd_tune_cpu.base import facts_of, load_folder
from ragd_tune_cpu.encoder import Encoder, halved
from ragd_tune_cpu.query import mapping
from ragd_tune_cpu.query.frozen import Bare, limited
from ragd_tune_cpu.query.prepare import length_of

if TYPE_CHECKING:
    from ragd_tune.backends import Dense

Mend = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class QueryEncoder:
    """Two encoders of one space; :attr:`facts` are the documents', with the queries' prompt."""

    precision: Computed = "fp32"

    def __init__(self, documents: Encoder, queries: Encoder, facts: ModelFacts) -> None:
        self.documents = documents
        self.queries = queries
        self._facts = facts

    @property
    def facts(self) -> ModelFacts:
        """What was loaded."""
        return self._facts

    @property
    def model(self) -> SentenceTransformer:
        """The one model that it is not.

        :raises UsageError: always.
        """
        raise UsageError(
            "queries go through this adapter and documents do not: no single model does both",
            mend="serve it by ragd_tune.load(), or through the host's hook",
        )

    def embed(self, texts: Sequence[str], role: Role) -> Dense:
        """Return float32 vectors of shape (n, dimension); (0, dimension) for no texts."""
        return (self.queries if role == "query" else self.documents).embed(texts, role)

    def close(self) -> None:
        """Give the memory back."""
        self.queries.close()
        self.documents.close()


class _Within(Encoder):
    """An encoder that is itself only in a context, as with an adapter off, and at its length."""

    def __init__(
        self, model: SentenceTransformer, facts: ModelFacts, *, dimension: int, context: Bare
    ) -> None:
        super().__init__(model, facts, dimension=dimension)
        self._context = context

    def embed(self, texts: Sequence[str], role: Role) -> Dense:
        with self._context(), limited(self.model, self._facts.max_length):
            return super().embed(texts, role)


class _Mapped(Encoder):
    """An encoder whose vectors are multiplied by a matrix, and cut after that."""

    def __init__(self, whole: Encoder, matrix: NDArray[np.float32], *, dimension: int) -> None:
        super().__init__(whole.model, whole.facts, dimension=dimension)
        self._whole = whole
        self._matrix = matrix

    def embed(self, texts: Sequence[str], role: Role) -> Dense:
        made = (self._whole.embed(texts, role) @ self._matrix.T)[:, : self._dimension]
        if self._facts.normalise:
            made = unit(made)
        return np.ascontiguousarray(made, np.float32)

    def close(self) -> None:
        super().close()
        self._whole.close()


def load(request: LoadRequest) -> QueryEncoder:
    """Load what ``request`` names, in evaluation mode.

    :raises TuneError: the files do not make an adapter of this base.
    """
    assert request.adapter is not None
    model = load_folder(request.base.path, name=request.base.name, device=request.device)
    facts, dimension = fitted(request.facts or facts_of(model), request)
    asked = replace(facts, max_length=length_of(facts))
    documents = _Within(model, facts, dimension=dimension, context=contextlib.nullcontext)
    queries: Encoder
    if request.format == "peft":
        wrapped = lora.put(model, request.adapter)
        documents = _Within(model, facts, dimension=dimension, context=wrapped.disable_adapter)
        queries = _Within(model, asked, dimension=dimension, context=contextlib.nullcontext)
    elif request.format == "map":
        matrix = mapping.load(request.adapter, facts.dimension)
        whole = _Within(model, asked, dimension=facts.dimension, context=contextlib.nullcontext)
        queries = _Mapped(whole, matrix, dimension=dimension)
    else:
        other = load_folder(request.adapter, name=str(request.adapter), device=request.device)
        queries = _Within(other, asked, dimension=dimension, context=contextlib.nullcontext)
    encoder = QueryEncoder(documents, queries, facts)
    for one in {id(m): m for m in (model, queries.model)}.values():
        encoder.precision = halved(one.eval(), request)
    return encoder
