"""How many points lie above others on both axes: n log n, in whole arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def both_above(one: Numbers, two: Numbers, limit_one: Numbers, limit_two: Numbers) -> Numbers:
    """Return, for each limit, how many points are greater than it on both axes: int64 (m,).

    ``one`` and ``two`` are the coordinates of the points (n,), whole numbers from 0; the limits are
    (m,), from -1. In the order of the first axis the points above a limit are the first so many;
    how many of those are above the second limit is told by a wavelet matrix (Claude and Navarro
    2012): the values are taken bit by bit from the highest, those with a 0 moved before those with
    a 1, and each step counts whole runs that are larger.
    """
    order = np.argsort(-one, kind="stable")
    start = np.zeros(len(limit_one), np.int64)
    end = np.searchsorted(np.sort(-one), -limit_one, side="left").astype(np.int64)
    values, wanted = two[order] + 1, limit_two + 1
    found = np.zeros(len(limit_one), np.int64)
    highest = max(values.max(initial=0), wanted.max(initial=0))
    for bit in reversed(range(int(highest).bit_length())):
        ones = (values >> bit) & 1 == 1
        before = np.concatenate([[0], np.cumsum(ones)])
        first, last = before[start], before[end]
        low = (wanted >> bit) & 1 == 0
        found += np.where(low, last - first, 0)
        zeros = len(values) - int(before[-1])
        start = np.where(low, start - first, zeros + first)
        end = np.where(low, end - last, zeros + last)
        values = np.concatenate([values[~ones], values[ones]])
    return found
