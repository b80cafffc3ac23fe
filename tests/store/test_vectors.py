from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragd_tune.store import VectorCache

KEY, OTHER, THIRD = ("a" * 64, "b" * 64, "c" * 64)


def vectors(seed: int = 0, rows: int = 8) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((rows, 4)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "vectors")


def file(cache: VectorCache, key: str = KEY) -> Path:
    return cache.folder / f"{key}.safetensors"


def test_what_was_kept_comes_back_bit_by_bit(cache: VectorCache) -> None:
    assert cache.get(KEY) is None
    cache.put(KEY, vectors())
    found = cache.get(KEY)
    assert found is not None
    assert found.dtype == np.float32
    assert np.array_equal(found, vectors())
    assert cache.get(OTHER) is None


@pytest.mark.parametrize("place", [-1, -40, 8, 20, 60])
def test_a_changed_byte_anywhere_is_noticed_and_the_file_passed_over(
    cache: VectorCache, place: int
) -> None:
    cache.put(KEY, vectors())
    raw = bytearray(file(cache).read_bytes())
    raw[place] ^= 1
    file(cache).write_bytes(raw)
    found = cache.get(KEY)
    assert found is None or np.array_equal(found, vectors())  # a blank of the header may change
    cache.put(KEY, vectors(1))
    assert np.array_equal(cache.get(KEY), vectors(1))  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", [b"", b"no safetensors", b"\x80\x04N."])
def test_a_file_that_is_none_is_passed_over(cache: VectorCache, raw: bytes) -> None:
    cache.put(KEY, vectors())
    file(cache).write_bytes(raw)
    assert cache.get(KEY) is None


def test_a_file_under_the_name_of_another_is_not_taken_for_it(cache: VectorCache) -> None:
    cache.put(KEY, vectors())
    file(cache).rename(file(cache, OTHER))
    assert cache.get(OTHER) is None


def test_what_was_not_used_for_longest_goes_when_the_room_is_full(cache: VectorCache) -> None:
    cache.put(KEY, vectors())
    size = file(cache).stat().st_size
    small = VectorCache(cache.folder, limit=2 * size + size // 2)
    small.put(OTHER, vectors())
    for age, key in ((3, KEY), (2, OTHER)):
        os.utime(file(small, key), ns=(10**18 - age * 10**9,) * 2)
    assert small.get(KEY) is not None  # used now: the other one is the oldest
    small.put(THIRD, vectors())
    assert small.get(OTHER) is None
    assert small.get(KEY) is not None
    assert small.get(THIRD) is not None


def test_what_is_larger_than_the_room_is_not_kept(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "vectors", limit=100)
    cache.put(KEY, vectors(rows=100))
    assert not cache.folder.exists()


def test_a_place_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "vectors").write_text("a file", encoding="utf-8")
    cache = VectorCache(tmp_path / "vectors")
    cache.put(KEY, vectors())
    assert cache.get(KEY) is None


def test_no_draft_is_left_behind(cache: VectorCache) -> None:
    cache.put(KEY, vectors())
    assert [path.name for path in cache.folder.iterdir()] == [f"{KEY}.safetensors"]
