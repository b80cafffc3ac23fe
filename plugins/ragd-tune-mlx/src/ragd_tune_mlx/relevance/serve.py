"""A loaded reranker: the handle that the core keeps, and the scores that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from ragd_tune.backends import LoadRequest, RerankRequest
from ragd_tune.interchange import peft
from ragd_tune.plan import Device, ModelFacts
from ragd_tune_mlx import lora
from ragd_tune_mlx.relevance.model import Opened, Scorer, build, open_folder
from ragd_tune_mlx.session import on
from ragd_tune_mlx.shared import Base, Bases, SharedHandle
from ragd_tune_mlx.tokens import Tokenizer
from ragd_tune_mlx.weights import as_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKENS_AT_ONCE = 8_192
"""Tokens of one forward pass at most: bounds the activations."""


_bases: Bases[Opened] = Bases()


class PairScorer(SharedHandle[Opened, Scorer]):
    """A loaded model; :attr:`facts` says what it is."""

    def __init__(
        self,
        base: Base[Opened],
        model: Scorer,
        tokenizer: Tokenizer,
        facts: ModelFacts,
        device: Device,
    ) -> None:
        super().__init__(base, model, facts)
        self._tokenizer = tokenizer
        self._device = device

    def rerank(self, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
        """Return scores between 0 and 1 by request, float32 (passages,)."""
        pairs = [(one.query, passage) for one in requests for passage in one.passages]
        scores = np.zeros(len(pairs), np.float32)
        for rows in self._groups(pairs):
            scores[rows] = self._score([pairs[row] for row in rows])
        ends = np.cumsum([len(one.passages) for one in requests]).tolist()
        return [part.copy() for part in np.split(scores, ends[:-1])] if requests else []

    def _groups(self, pairs: Sequence[tuple[str, str]]) -> Iterator[list[int]]:
        """Yield indices of pairs of like length: padding costs as much as text."""
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
        size = max(1, min(64, TOKENS_AT_ONCE // min(self._facts.max_length, 512)))
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def _score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        queries, passages = zip(*pairs, strict=True)
        with on(self._device):
            return as_numpy(mx.sigmoid(self.model(self._tokenizer.pairs(queries, passages))))


def load(request: LoadRequest) -> PairScorer:
    """Load what ``request`` names, in float32 and in evaluation mode.

    :raises TuneError: the files do not make a model.
    """
    with on(request.device):
        base = _base(request)
        model = _model(base.held, request)
    own = base.held.facts()
    facts = request.facts or own
    length = min(request.max_length or facts.max_length, facts.max_length)
    facts = replace(facts, max_length=length)
    tokenizer = Tokenizer(base.held.place, length=min(length, own.max_length))
    return PairScorer(base, model, tokenizer, facts, request.device)


def _model(opened: Opened, request: LoadRequest) -> Scorer:
    if request.format != "peft":
        return build(opened)
    assert request.adapter is not None
    adapter, where = peft.read(request.adapter, whole=True), str(request.adapter)
    model = build(opened, adapter, where=where)
    lora.attach(model, adapter, where=where)
    return model


def _base(request: LoadRequest) -> Base[Opened]:
    if request.format == "full":
        assert request.adapter is not None
        return Base(open_folder(request.adapter, name=str(request.adapter)))
    return _bases.get(request, lambda: open_folder(request.base.path, name=request.base.name))
