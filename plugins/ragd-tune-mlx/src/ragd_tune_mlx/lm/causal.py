"""The objective ``causal_lm``: the next token of a completion, over parts of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from ragd_tune.objectives import Sample, Samples, learnt, parts


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some rows of a batch: ids (B, L), labels and their mask (B, L - 1), tokens of the batch."""

    ids: mx.array
    labels: mx.array
    counted: mx.array
    of: int


class CausalLM:
    """What one step of the objective needs."""

    def __init__(self, samples: Samples, *, size: int, padding: int) -> None:
        self._samples = {"train": samples.train, "dev": samples.dev}
        self._size = size
        self._padding = padding

    def pieces(self, part: str, indices: Sequence[int]) -> list[Part]:
        """Return the rows of a batch in parts, rows of like length together."""
        made = self._samples[part]
        total = max(1, learnt(made, indices))
        return [
            self._part([made[i] for i in rows], total)
            for rows in parts(made, indices, size=self._size)
        ]

    def _part(self, samples: Sequence[Sample], total: int) -> Part:
        width = max(len(sample.ids) for sample in samples)
        ids = np.full((len(samples), width), self._padding, np.int32)
        counted = np.zeros((len(samples), width - 1), np.float32)
        for row, sample in enumerate(samples):
            ids[row, : len(sample.ids)] = sample.ids
            # the logits of a position predict the token after it
            counted[row, max(0, sample.start - 1) : len(sample.ids) - 1] = 1.0
        # Padding stands on the right, where no causal layer looks from a token that counts.
        return Part(
            ids=mx.array(ids), labels=mx.array(ids[:, 1:]), counted=mx.array(counted), of=total
        )

    def loss(self, model: Any, part: Part) -> mx.array:
        """Return the part's share of the batch's mean loss, a scalar in float32."""
        logits = model(part.ids)[:, :-1].astype(mx.float32)
        right = mx.take_along_axis(logits, part.labels[..., None], axis=-1)[..., 0]
        lost = mx.logsumexp(logits, axis=-1) - right
        return (lost * part.counted).sum() / part.of
