"""A loaded embedder: the handle that the core keeps, and the vectors it gives."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize
from sentence_transformers.util import batch_to_device

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
_TEXTS_AT_ONCE = {"cpu": 32}
"""Texts of one forward pass at most, by device, else 64.

The activations of 64 leave a CPU's caches, and so they take longer than twice 32.
"""


class Encoder(TorchHandle[SentenceTransformer]):
    """A loaded model; :attr:`facts` says what it is."""

    def __init__(self, model: SentenceTransformer, facts: ModelFacts, *, dimension: int) -> None:
        super().__init__(model, facts)
        self._dimension = dimension
        self._truncate = model.truncate_dim if dimension == facts.dimension else dimension
        is_unit = self._truncate is None and isinstance(model[-1], Normalize)
        self._normalise = facts.normalise and not is_unit
        self._spoke = False

    def embed(self, texts: Sequence[str], role: Role) -> Dense:
        """Return float32 vectors of shape (n, dimension); (0, dimension) for no texts."""
        if not texts:
            return np.zeros((0, self._dimension), np.float32)
        # Libraries have their say once; afterwards a query does not wait for their loggers.
        silence = hushed if self._spoke else quiet
        self._spoke = True
        with silence(), torch.inference_mode():
            vectors = self._one(texts[0], role) if len(texts) == 1 else self._many(texts, role)
        return np.ascontiguousarray(vectors, dtype=np.float32)

    def _many(self, texts: Sequence[str], role: Role) -> Any:
        facts = self._facts
        most = _TEXTS_AT_ONCE.get(self.model.device.type, 64)
        return self.model.encode(
            list(texts),
            prompt=facts.prompts.get(role, ""),
            batch_size=max(1, min(most, TOKENS_AT_ONCE // min(facts.max_length, 512))),
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=self._normalise,
            truncate_dim=self._truncate,
            task=role,
        )

    def _one(self, text: str, role: Role) -> Any:
        """Return what ``encode`` returns for one text, without what it does for many.

        It sorts, stacks, and goes through every module to set its mode: half a millisecond, of the
        ten that a query takes with MiniLM.
        """
        model = self.model
        prompt = self._facts.prompts.get(role, "")
        features = batch_to_device(model.preprocess([text], prompt=prompt, task=role), model.device)
        vectors = model(features, task=role)["sentence_embedding"]
        if self._truncate is not None:
            vectors = vectors[:, : self._truncate]
        if self._normalise:
            vectors = torch.nn.functional.normalize(vectors, p=2, dim=1)
        return vectors.float().cpu().numpy()


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
