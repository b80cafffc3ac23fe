from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragd_tune.data import DataSet, Document, Query
from ragd_tune.testing.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine.make(tmp_path, monkeypatch)


def embed(texts: Sequence[str], role: str) -> NDArray[np.float32]:
    """Hashed words, of unit length."""
    made = np.full((len(texts), 64), 1e-4, np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            made[row, zlib.crc32(word.encode()) % 64] += 1
    lengths: NDArray[np.float32] = np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(made / lengths, np.float32)


def data_of(texts: dict[str, str], queries: dict[str, tuple[str, str]], **more: str) -> DataSet:
    """Return a set of training queries: id → (text, id of the answer); ``more``: id → document."""
    corpus = {
        did: Document(id=did, text=text, document=more.get(did, "")) for did, text in texts.items()
    }
    return DataSet.of(
        corpus=corpus,
        queries={qid: Query(id=qid, text=text) for qid, (text, _) in queries.items()},
        qrels={"train": {qid: {did: 1.0} for qid, (_, did) in queries.items()}},
        source="made",
    )
