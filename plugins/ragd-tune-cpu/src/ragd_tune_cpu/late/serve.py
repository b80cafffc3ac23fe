"""A loaded late-interaction model: the handle that the core keeps, and its token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import MultiVectorEncoder

from ragd_tune.backends import LoadRequest, MultiVector
from ragd_tune.errors import UsageError
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.unit import unit
from ragd_tune_cpu import folder, lora
from ragd_tune_cpu.late.model import Opened, facts_of, load_projection, open_folder, take
from ragd_tune_cpu.session import TorchHandle, quiet

TOKENS_AT_ONCE = 16_384
"""Tokens of one forward pass at most: bounds the activations at any text length."""


class MultiEncoder(TorchHandle[MultiVectorEncoder]):
    """A loaded model with many vectors a text; :attr:`facts` says what it is."""

    def __init__(self, model: MultiVectorEncoder, facts: ModelFacts, *, dimension: int) -> None:
        super().__init__(model, facts)
        self._dimension = dimension

    def embed(self, texts: Sequence[str], role: Role) -> MultiVector:
        """Return float32 token vectors; cut to the dimension asked for, and of unit length."""
        offsets = np.zeros(len(texts) + 1, np.int64)
        if not texts:
            return MultiVector(values=np.zeros((0, self._dimension), np.float32), offsets=offsets)
        with quiet(), torch.inference_mode():
            found = self.model.encode(
                list(texts),
                prompt=self._facts.prompts.get(role, ""),
                batch_size=max(1, min(64, TOKENS_AT_ONCE // min(self._facts.max_length, 512))),
                show_progress_bar=False,
                convert_to_numpy=True,
                task=role,
            )
        np.cumsum([len(one) for one in found], out=offsets[1:])
        values = np.concatenate(found).astype(np.float32, copy=False)
        return MultiVector(values=self._cut(values), offsets=offsets)

    def _cut(self, values: np.ndarray) -> np.ndarray:
        if self._dimension == self._facts.dimension:
            return np.ascontiguousarray(values)
        return np.ascontiguousarray(unit(values[:, : self._dimension]))

    def export(self, format_: str, out: Path) -> list[Path]:
        """Write the model as sentence-transformers' folder, or as a Stanford checkpoint.

        :raises UsageError: the layout has no room for what this model is; says for what.
        """
        from ragd_tune_cpu.late import stanford

        if format_ == "stanford":
            return stanford.export(self.model, self._facts, out)
        return folder.save(self.model, out, self._facts)


def load(request: LoadRequest) -> MultiEncoder:
    """Load what ``request`` names, in float32 and in evaluation mode.

    :raises TuneError: the files do not make a model.
    """
    opened = _open(request)
    facts = request.facts or facts_of(opened, max_length=request.max_length)
    if request.max_length:
        facts = replace(facts, max_length=min(request.max_length, facts.max_length))
    take(opened, facts)
    dimension = request.dimension or facts.dimension
    if not 0 < dimension <= facts.dimension:
        raise UsageError(
            f"dimension {dimension} cannot be had of vectors with {facts.dimension}",
            mend=f"take 1 to {facts.dimension}",
        )
    opened.model.eval()
    return MultiEncoder(opened.model, facts, dimension=dimension)


def _open(request: LoadRequest) -> Opened:
    if request.format == "full":
        assert request.adapter is not None
        return open_folder(request.adapter, name=str(request.adapter), device=request.device)
    own = request.facts.dimension if request.facts else None
    opened = open_folder(
        request.base.path, name=request.base.name, device=request.device, dimension=own
    )
    if request.format == "peft":
        assert request.adapter is not None
        lora.merge(opened.model, request.adapter)
        load_projection(opened.model, request.adapter)
    return opened
