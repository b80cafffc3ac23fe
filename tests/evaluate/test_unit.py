"""Vectors of length 1."""

from __future__ import annotations

import numpy as np

from ragd_tune.unit import unit


def test_rows_get_length_1_and_a_row_of_zeros_stays() -> None:
    made = unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    assert made.dtype == np.float32
    assert np.allclose(made, [[0.6, 0.8], [0.0, 0.0]])
