from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.backends import MultiVector
from ragd_tune.errors import StoreError
from ragd_tune.serve import tokens
from ragd_tune.serve.late import some
from ragd_tune.serve.maxsim import maxsim
from ragd_tune.serve.token_pooling import pooled
from ragd_tune.serve.tokens import TokenStore


def drawn(count: int, *, dimension: int = 8, seed: int = 0, least: int = 1) -> MultiVector:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(least, 9, count)
    values = rng.standard_normal((int(lengths.sum()), dimension)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return MultiVector(values=values, offsets=np.cumsum([0, *lengths]).astype(np.int64))


def ids(count: int) -> list[str]:
    return [f"d{number}" for number in range(count)]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "SHARD_TOKENS", 40)
    monkeypatch.setattr(tokens, "BLOCK_TOKENS", 16)


def written(folder: Path, vectors: MultiVector, **options: Any) -> TokenStore:
    count = len(vectors.offsets) - 1
    names = ids(count)
    parts = ((names[at : at + 7], some(vectors, range(at, min(at + 7, count))))
             for at in range(0, count, 7))  # fmt: skip
    return TokenStore.write(folder, parts, model="m", **options)


@pytest.mark.usefixtures("small_files")
def test_what_was_written_comes_back_in_any_order_as_half_precision_holds_it(
    tmp_path: Path,
) -> None:
    vectors = drawn(30)
    written(tmp_path / "t", vectors)
    store = TokenStore.open(tmp_path / "t", model="m")
    assert store.ids == ids(30)
    assert len(list((tmp_path / "t").glob("*.safetensors"))) > 2
    found = store.take(["d29", "d3", "d29"])
    wanted = some(vectors, [29, 3, 29])
    assert found.offsets.tolist() == wanted.offsets.tolist()
    assert found.values.dtype == np.float32
    assert np.abs(found.values - wanted.values).max() <= 5e-4
    assert store.take([]).values.shape == (0, 8)


@pytest.mark.usefixtures("small_files")
def test_an_exhaustive_search_in_blocks_is_the_whole_matrix_sorted(tmp_path: Path) -> None:
    store = written(tmp_path / "t", drawn(30))
    queries = drawn(4, seed=1)
    whole = maxsim(queries, store.take(store.ids))
    found = store.search(queries, 5)
    for scores, row in zip(whole, found, strict=True):
        best = np.argsort(-scores, kind="stable")[:5]
        assert [name for name, _ in row] == [f"d{i}" for i in best]
        assert [score for _, score in row] == pytest.approx(scores[best].tolist(), abs=1e-6)


@pytest.mark.usefixtures("small_files")
def test_equal_documents_keep_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    one = drawn(1, seed=3)
    store = written(tmp_path / "t", some(one, [0] * 25))
    (row,) = store.search(drawn(1, seed=4), 25)
    assert [name for name, _ in row] == ids(25)


@pytest.mark.usefixtures("small_files")
def test_no_more_than_a_block_is_held_at_once(tmp_path: Path) -> None:
    store = written(tmp_path / "t", drawn(60))
    sizes = [len(vectors.values) for _, vectors in store.blocks(16)]
    assert max(sizes) <= 16
    assert sum(sizes) == len(store.take(store.ids).values)


def test_the_vectors_take_two_bytes_each_on_disk(tmp_path: Path) -> None:
    vectors = drawn(200, dimension=64)
    store = written(tmp_path / "t", vectors)
    assert store.bytes == pytest.approx(vectors.values.size * 2 + 201 * 8, abs=400)


def test_another_models_vectors_are_refused_and_so_are_torn_ones(tmp_path: Path) -> None:
    written(tmp_path / "t", drawn(3))
    with pytest.raises(StoreError, match="token vectors of m, not of other"):
        TokenStore.open(tmp_path / "t", model="other")
    with pytest.raises(StoreError, match="holds token vectors already"):
        written(tmp_path / "t", drawn(3))
    (tmp_path / "t" / "tokens.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match="no whole token vectors"):
        TokenStore.open(tmp_path / "t", model="m")


def test_a_document_that_comes_twice_or_is_not_there_is_an_error(tmp_path: Path) -> None:
    two = drawn(2)
    with pytest.raises(StoreError, match="'d0' comes twice"):
        TokenStore.write(tmp_path / "a", [(["d0", "d0"], two)], model="m")
    assert not (tmp_path / "a" / "tokens.json").exists()
    with pytest.raises(StoreError, match="no document 'd9'"):
        written(tmp_path / "b", two).take(["d9"])


def test_pooling_merges_as_wards_method_does() -> None:
    scipy: Any = import_module("scipy.cluster.hierarchy")  # it has no types of its own
    vectors = drawn(1, dimension=6, least=8)
    rng = np.random.default_rng(5)
    values = rng.standard_normal((41, 6)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    vectors = MultiVector(values=values, offsets=np.array([0, 41]))
    found = pooled(vectors, 4).values
    rest = values[1:]
    distances = np.clip(1 - rest.astype(np.float64) @ rest.T.astype(np.float64), 0, 2)
    labels = scipy.fcluster(
        scipy.linkage(distances[np.triu_indices(40, 1)], "ward"), 10, "maxclust"
    )
    means = np.stack([rest[labels == one].mean(axis=0) for one in range(1, 11)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    assert np.abs(found[0] - values[0]).max() <= 1e-6
    assert len(found) == 11
    order = [np.lexsort(part.T) for part in (found[1:], means)]
    assert np.abs(found[1:][order[0]] - means[order[1]]).max() <= 1e-6


def test_pooled_documents_have_unit_vectors_and_single_ones_stay(tmp_path: Path) -> None:
    vectors = drawn(40, least=1)
    store = written(tmp_path / "t", vectors, pool=3)
    found = store.take(store.ids)
    lengths, before = np.diff(found.offsets), np.diff(vectors.offsets)
    assert lengths.tolist() == [1 if n == 1 else 1 + max(1, (n - 1) // 3) for n in before]
    assert np.allclose(np.linalg.norm(found.values, axis=1), 1.0, atol=1e-3)
    assert json.loads((tmp_path / "t" / "tokens.json").read_text())["pool"] == 3
