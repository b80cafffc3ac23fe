"""Two sides for a proof, without a model: one that knows little, and one that knows the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from ragd_tune.plan import ModelFacts, Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragd_tune.backends import Limits, RerankRequest
    from ragd_tune.data import DataSet


class Side:
    """A served model whose vectors are counts of words in a few places: it finds some answers."""

    places = 12

    def __init__(self, dimension: int) -> None:
        self.facts = ModelFacts(dimension=dimension, max_length=256, pooling="mean")

    def embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return unit vectors, float32 (n, dimension)."""
        made = np.zeros((len(texts), self.facts.dimension), np.float32)
        for row, text in zip(made, texts, strict=True):
            self.fill(row, text, role)
        made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)
        return made

    def fill(self, row: NDArray[np.float32], text: str, role: Role) -> None:
        """Fill in one vector."""
        for word in text.split():
            row[crc32(word.encode()) % min(self.places, len(row))] += 1

    def rerank(self, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
        """Return cosines."""
        return [
            self.embed(one.passages, "document") @ self.embed([one.query], "query")[0]
            for one in requests
        ]

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Return the last line of each prompt."""
        return [prompt.rstrip().rpartition("\n")[2] for prompt in prompts]


class Oracle(Side):
    """A side that has read the answers: a place for each document, and queries beside theirs."""

    def __init__(self, data: DataSet) -> None:
        super().__init__(dimension=len(data.corpus))
        places = {did: place for place, did in enumerate(data.corpus)}
        self.known: dict[tuple[Role, str], list[int]] = {}
        for did, document in data.corpus.items():
            self.known["document", document.passage] = [places[did]]
        for judged in data.qrels.values():
            for qid, found in judged.items():
                self.known["query", data.queries[qid].text] = [places[did] for did in found]

    def fill(self, row: NDArray[np.float32], text: str, role: Role) -> None:
        """Put ones where the answers are."""
        row[self.known[role, text]] = 1
