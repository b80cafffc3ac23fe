"""Near-duplicates among many texts, by hashing: MinHash for passages, deletions for typing errors.

Both only propose pairs; every pair that is returned was compared itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ragd_tune.data.text import edits, fold

Codes = NDArray[np.uint64]
Indices = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.uint64)

WIDTH = 5
"""Characters in a shingle: one changed letter in 50 leaves a Jaccard similarity of 0.8."""
THRESHOLD = 0.8

# 32 bands of 4 rows propose a pair of similarity 0.8 with probability 1 - (1 - 0.8⁴)³² > 1 - 5e-8,
# so that "near-duplicates stay together" can be relied on, and one of 0.3 with 0.23.
_BANDS, _ROWS = 32, 4
_SLACK = 0.18
_BATCH = 1 << 20
_CROWD = 100
"""Texts in one bucket up to which each is compared with each; beyond, along a chain."""

_RNG = np.random.default_rng(20250101)
_FACTORS = _RNG.integers(0, 2**31, _BANDS * _ROWS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_SHIFTS = _RNG.integers(0, 2**32, _BANDS * _ROWS, dtype=np.uint32)
_BASE = 0x9E3779B97F4A7C15
_M64 = (1 << 64) - 1


def _mix(values: Codes) -> Codes:
    """Return the finaliser of splitmix64: every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)


def shingles(text: str) -> Codes:
    """Return hashes of all runs of ``WIDTH`` characters, uint64; of the text itself if shorter."""
    codes = _codes(text)
    count = max(1, len(codes) - WIDTH + 1)
    padded = np.zeros(count + WIDTH - 1, np.uint64)
    padded[: len(codes)] = codes
    mixed = np.zeros(count, np.uint64)
    for offset in range(WIDTH):
        power = np.uint64(pow(_BASE, offset + 1, 1 << 64))
        mixed += (padded[offset : offset + count] + np.uint64(1)) * power
    return _mix(mixed)


def _batches(texts: Sequence[str]) -> Iterator[tuple[Indices, list[Codes]]]:
    start, size, batch = 0, 0, []
    for number, text in enumerate(texts):
        batch.append(shingles(text))
        size += len(batch[-1])
        if size >= _BATCH or number + 1 == len(texts):
            yield np.arange(start, number + 1), batch
            start, size, batch = number + 1, 0, []


def signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return MinHash signatures, uint32 (n, 128): columns agree as often as shingle sets do."""
    made = np.empty((len(texts), _BANDS * _ROWS), np.uint32)
    for rows, batch in _batches(texts):
        flat = np.concatenate(batch).astype(np.uint32)
        starts = np.concatenate(([0], np.cumsum([len(part) for part in batch])[:-1]))
        for column, (factor, shift) in enumerate(zip(_FACTORS, _SHIFTS, strict=True)):
            made[rows, column] = np.minimum.reduceat(flat * factor + shift, starts)
    return made


def _groups(keys: Codes) -> Iterator[Indices]:
    """Yield the positions of each value that occurs more than once."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    edges = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    bounds = np.concatenate(([0], edges, [len(keys)]))
    for group in np.flatnonzero(np.diff(bounds) > 1):
        yield order[bounds[group] : bounds[group + 1]]


def _proposals(group: Indices) -> Indices:
    """Return pairs (m, 2) of a bucket: all of them, or a chain and a star for a crowd."""
    if len(group) <= _CROWD:
        left, right = np.triu_indices(len(group), 1)
        return np.stack([group[left], group[right]], axis=1)
    chain = np.stack([group[:-1], group[1:]], axis=1)
    star = np.stack([np.full(len(group) - 1, group[0]), group[1:]], axis=1)
    return np.concatenate([chain, star])


def _candidates(marks: NDArray[np.uint32], threshold: float) -> Indices:
    """Return pairs (m, 2) that share a band and whose estimate is not far below ``threshold``."""
    found: Indices = np.empty(0, np.int64)
    size = np.int64(len(marks))
    for band in range(_BANDS):
        rows = marks[:, band * _ROWS : (band + 1) * _ROWS].astype(np.uint64)
        key = np.zeros(len(marks), np.uint64)
        for row in range(_ROWS):
            key = _mix(key + rows[:, row] + np.uint64(row + 1))
        pairs = [_proposals(group) for group in _groups(key)]
        if pairs:
            both = np.concatenate(pairs)
            packed = both.min(axis=1) * size + both.max(axis=1)
            found = _distinct(np.concatenate((found, packed)))
    pairs_found = np.stack([found // size, found % size], axis=1)
    # At 0.8 the estimate's standard deviation is 0.035: a pair is lost at five of them below.
    kept = [
        part[(marks[part[:, 0]] == marks[part[:, 1]]).mean(axis=1) >= threshold - _SLACK]
        for part in np.array_split(pairs_found, len(pairs_found) // 50_000 + 1)
    ]
    return np.concatenate(kept)


def jaccard(first: Codes, second: Codes) -> float:
    """Return the share of distinct shingles that two texts have in common."""
    return _share(_distinct(first), _distinct(second))


def _distinct(values: NDArray[Number]) -> NDArray[Number]:
    """Return sorted distinct values; ``np.unique`` hashes them, which is slow on short arrays."""
    ordered = np.sort(values)
    kept = np.ones(len(ordered), np.bool_)
    kept[1:] = ordered[1:] != ordered[:-1]
    return ordered[kept]


def _share(left: Codes, right: Codes) -> float:
    both = np.concatenate((left, right))
    both.sort()
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    return common / (len(both) - common)


def near_duplicates(
    texts: Sequence[str], threshold: float = THRESHOLD
) -> list[tuple[int, int, float]]:
    """Return pairs (i, j, similarity) of texts whose shingles' Jaccard similarity is enough.

    Differences of case and blanks do not count. Equal texts come as one chain with similarity 1,
    and other pairs name the first text of each chain: what matters is what hangs together.
    Memory is 512 bytes a text.
    """
    first: dict[str, int] = {}
    pairs: list[tuple[int, int, float]] = []
    for number, text in enumerate(texts):
        folded = fold(text)
        if folded in first:
            pairs.append((first[folded], number, 1.0))
        else:
            first[folded] = number
    # Sorted, so that what is proposed in a crowd does not depend on the order of rows.
    distinct = sorted(first)
    if len(distinct) < 2:
        return pairs

    @lru_cache(maxsize=4096)
    def parts(number: int) -> Codes:
        return _distinct(shingles(distinct[number]))

    for left, right in _candidates(signatures(distinct), threshold).tolist():
        similarity = _share(parts(left), parts(right))
        if similarity >= threshold:
            ends = sorted((first[distinct[left]], first[distinct[right]]))
            pairs.append((ends[0], ends[1], similarity))
    return pairs


def _deletions(text: str) -> Codes:
    """Return hashes of ``text`` and of it without each of its characters, uint64 (n + 1).

    With H(text) = Σ cᵢ Bⁱ mod 2⁶⁴, dropping character j leaves Σ_{i<j} cᵢ Bⁱ + B⁻¹ Σ_{i>j} cᵢ Bⁱ.
    """
    codes = _mix(_codes(text) + np.uint64(1))
    powers = np.full(len(codes), np.uint64(_BASE))
    terms = codes * np.cumprod(powers, dtype=np.uint64)
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)))
    inverse = np.uint64(pow(_BASE, -1, 1 << 64) & _M64)
    dropped = sums[:-1] + (sums[-1] - sums[1:]) * inverse
    return np.concatenate((sums[-1:], dropped))


def one_edit_apart(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs (i, j), i < j, of texts at most one edit apart (see :func:`text.edits`).

    Two texts within one edit share a text with one character dropped. Equal texts are compared
    through the first of them.
    """
    first: dict[str, int] = {}
    same = [(first.setdefault(text, number), number) for number, text in enumerate(texts)]
    pairs = {pair for pair in same if pair[0] != pair[1]}
    distinct = sorted(first)
    hashes = [_deletions(text) for text in distinct]
    if not hashes:
        return []
    owners = np.repeat(np.arange(len(hashes)), [len(part) for part in hashes])
    tried: set[tuple[int, int]] = set()
    for group in _groups(np.concatenate(hashes)):
        for left, right in _proposals(_distinct(owners[group])).tolist():
            if left != right and (left, right) not in tried:
                tried.add((left, right))
                one, two = distinct[left], distinct[right]
                if edits(one, two, 1) <= 1:
                    ends = sorted((first[one], first[two]))
                    pairs.add((ends[0], ends[1]))
    return sorted(pairs)
