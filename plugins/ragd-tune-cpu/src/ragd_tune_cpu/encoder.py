"""A loaded embedder: the handle that the core keeps, and the vectors it gives."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from ragd_tune.backends import Computed, LoadRequest
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.training.facts import fitted
from ragd_tune_cpu.base import facts_of, load_folder, transformer
from ragd_tune_cpu.loss import has_fast_bf16
from ragd_tune_cpu.session import TorchHandle, hushed, quiet

if TYPE_CHECKING:
    from ragd_tune.backends import Dense

TOKENS_AT_ONCE = 16_384
"""Tokens of one forward pass at most: bounds the activations at any text length."""


class Encoder(TorchHandle[SentenceTransformer]):
    """A loaded model; :attr:`facts` says what it is."""

    def __init__(self, model: SentenceTransformer, facts: ModelFacts, *, dimension: int) -> None:
        super().__init__(model, facts)
        self._dimension = dimension
        self._spoke = False

    def embed(self, texts: Sequence[str], role: Role) -> Dense:
        """Return float32 vectors of shape (n, dimension); (0, dimension) for no texts."""
        if not texts:
            return np.zeros((0, self._dimension), np.float32)
        facts = self._facts
        # Libraries have their say once; afterwards a query does not wait for their loggers.
        silence = hushed if self._spoke else quiet
        self._spoke = True
        with silence(), torch.inference_mode():
            vectors = self.model.encode(
                list(texts),
                prompt=facts.prompts.get(role, ""),
                batch_size=max(1, min(64, TOKENS_AT_ONCE // min(facts.max_length, 512))),
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=facts.normalise,
                truncate_dim=None if self._dimension == facts.dimension else self._dimension,
                task=role,
            )
        return np.ascontiguousarray(vectors, dtype=np.float32)


def load(request: LoadRequest) -> Encoder:
    """Load what ``request`` names, in float32 and in evaluation mode.

    :raises TuneError: the files do not make a model.
    """
    model = _open(request)
    facts, dimension = fitted(request.facts or facts_of(model), request)
    if model.max_seq_length is not None:
        model.max_seq_length = min(facts.max_length, model.max_seq_length)
    model.eval()
    encoder = Encoder(model, facts, dimension=dimension)
    encoder.precision = halved(model, request)
    return encoder


def halved(model: SentenceTransformer, request: LoadRequest) -> Computed:
    """Have ``model`` compute in bfloat16 if that was allowed and is faster here; say which."""
    if request.precision != "auto" or not has_fast_bf16(request.device):
        return "fp32"
    return "bf16" if halve(model) else "fp32"


def halve(model: SentenceTransformer) -> bool:
    """Compute in bfloat16, and pool in float32: about twice as fast, at a cosine of 0.9999.

    False where there is no transformer to do so (static embeddings).
    """
    inner: Any = transformer(model)
    if inner is None:
        return False
    inner.auto_model.to(torch.bfloat16)
    plain = inner.forward

    @functools.wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> dict[str, Any]:
        made: dict[str, Any] = plain(*args, **kwargs)
        made["token_embeddings"] = made["token_embeddings"].float()
        return made

    inner.forward = forward
    return True


def _open(request: LoadRequest) -> SentenceTransformer:
    base, name, device = request.base.path, request.base.name, request.device
    if request.format == "full":
        assert request.adapter is not None
        return load_folder(request.adapter, name=str(request.adapter), device=device)
    model = load_folder(base, name=name, device=device)
    if request.format == "peft":
        from ragd_tune_cpu.lora import merge

        assert request.adapter is not None
        merge(model, request.adapter)
    return model
