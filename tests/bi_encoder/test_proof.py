from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ragd_tune.data import DataSet, Document, Query
from ragd_tune.errors import TuneError
from ragd_tune.kinds import Trial
from ragd_tune.testing import tiny_data
from ragd_tune_bi_encoder import proof
from ragd_tune_bi_encoder.kind import BiEncoder


class Words:
    """A side that embeds by counting words, in vectors of ``size``; notes what it was given."""

    facts = None

    def __init__(self, size: int, noise: float = 0.0) -> None:
        self.size, self.noise = size, noise
        self.asked: list[tuple[str, int]] = []

    def embed(self, texts: Sequence[str], role: str) -> Any:
        self.asked.append((role, len(texts)))
        made = np.zeros((len(texts), self.size), np.float32)
        for row, text in zip(made, texts, strict=True):
            for word in text.split():
                row[sum(map(ord, word)) % self.size] += 1.0
            row += self.noise * np.random.default_rng(len(text)).standard_normal(self.size)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def trial(data: DataSet, before: Any, after: Any, **fields: Any) -> Trial:
    return Trial(
        data=data,
        split="test",
        open_incumbent=lambda: before,
        open_candidate=lambda: after,
        **fields,
    )


def test_vectors_of_different_length_are_compared_whole_and_at_shared_dimensions() -> None:
    report = BiEncoder().prove(
        trial(tiny_data(), Words(64, noise=2.0), Words(256), dimensions=(32,))
    )
    assert {cell.dims for cell in report.cells} == {None, 32}
    assert report.gate_dims is None
    assert report.gate.after > report.gate.before


def test_all_dimensions_asked_for_are_told_and_the_whole_vector_decides() -> None:
    report = BiEncoder().prove(trial(tiny_data(), Words(64), Words(64), dimensions=(16, 32)))
    assert {cell.dims for cell in report.cells} == {64, 32, 16}
    assert report.gate_dims == 64
    assert report.gate.difference.mean == 0.0


def test_documents_come_in_blocks_and_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "BLOCK", 10)
    told: list[tuple[str, float]] = []
    before, data = Words(64), tiny_data(queries=24)
    BiEncoder().prove(
        trial(data, before, Words(64), progress=lambda text, done: told.append((text, done)))
    )
    assert before.asked == [("query", 6), ("document", 10), ("document", 10), ("document", 4)]
    assert ("searching with the incumbent", 1.0) in told
    assert all(0.0 <= done <= 1.0 for _, done in told)


def test_queries_of_one_group_are_one_cluster_and_known_documents_are_told_apart() -> None:
    corpus = {f"d{i}": Document(id=f"d{i}", text=f"text {i}", document=f"s{i}") for i in range(6)}
    queries = {f"q{i}": Query(id=f"q{i}", text=f"text {i}", group="g" * (i < 2)) for i in range(6)}
    qrels = {
        "train": {"q5": {"d0": 1.0}},
        "test": {f"q{i}": {f"d{i}": 1.0} for i in range(4)},
    }
    data = DataSet.of(corpus=corpus, queries=queries, qrels=qrels)
    report = BiEncoder().prove(trial(data, Words(16), Words(16)))
    assert report.gate.difference.clusters == 3
    assert (report.counts.known, report.counts.new) == (1, 3)


def test_a_model_of_many_vectors_is_refused() -> None:
    class Many:
        facts = None

        def embed(self, texts: Sequence[str], role: str) -> object:
            return object()

    with pytest.raises(TuneError, match="one vector a text"):
        BiEncoder().prove(trial(tiny_data(), Many(), Many()))
