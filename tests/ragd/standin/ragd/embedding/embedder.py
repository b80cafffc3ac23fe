"""A singleton keyed by the model's name alone, which encodes without prompts or roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ragd_tune.testing.fake_model import MODEL, WEIGHT, features, read


class SentenceTransformerEmbedder:
    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        self._weight = read(Path(model_name) / MODEL)[WEIGHT]

    def embed(self, texts: list[str]) -> list[list[float]]:
        found = features(texts) @ self._weight.T
        return [[float(x) for x in row / (np.linalg.norm(row) or 1)] for row in found]

    def embed_single(self, text: str) -> list[float]:
        return self.embed([text])[0]


_embedder: Any = None


def get_embedder(model_name: str = "base", device: str | None = None, batch_size: int = 32) -> Any:
    global _embedder
    if _embedder is None or _embedder.model_name != model_name:
        _embedder = SentenceTransformerEmbedder(model_name)
    return _embedder
