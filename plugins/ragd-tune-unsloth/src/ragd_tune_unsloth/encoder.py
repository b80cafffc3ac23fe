"""A loaded embedder: sentence-transformers and PEFT alone, so that serving patches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from ragd_tune.backends import LoadRequest
from ragd_tune.errors import TuneError
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.training.facts import fitted
from ragd_tune_unsloth import adapter, safe
from ragd_tune_unsloth.facts import facts_of
from ragd_tune_unsloth.session import TorchHandle, quiet

if TYPE_CHECKING:
    from ragd_tune.backends import Dense

TOKENS_AT_ONCE = 65_536
"""Tokens of one forward pass at most: bounds the activations at any text length."""


class Encoder(TorchHandle[SentenceTransformer]):
    """A loaded model; :attr:`facts` says what it is."""

    def __init__(self, model: SentenceTransformer, facts: ModelFacts, *, dimension: int) -> None:
        super().__init__(model, facts)
        self._dimension = dimension

    def embed(self, texts: Sequence[str], role: Role) -> Dense:
        """Return float32 vectors of shape (n, dimension); (0, dimension) for no texts."""
        if not texts:
            return np.zeros((0, self._dimension), np.float32)
        facts = self._facts
        with quiet(), torch.inference_mode():
            vectors = self.model.encode(
                list(texts),
                prompt=facts.prompts.get(role, ""),
                batch_size=max(1, min(256, TOKENS_AT_ONCE // min(facts.max_length, 512))),
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
    base = request.base
    safe.check(base.path, base.name)
    with quiet():
        model = _open(request)
        if request.adapter is not None:
            adapter.put_on(model[0].auto_model, request.adapter)
    facts, dimension = fitted(request.facts or facts_of(model), request)
    if model.max_seq_length is not None:
        model.max_seq_length = min(facts.max_length, model.max_seq_length)
    model.eval()
    return Encoder(model, facts, dimension=dimension)


def _open(request: LoadRequest) -> SentenceTransformer:
    base = request.base
    try:
        return SentenceTransformer(
            str(base.path),
            device=request.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        text = f"base model {base.name}: cannot be loaded from {base.path}: {error}"
        raise TuneError(text) from error
