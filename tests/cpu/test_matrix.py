"""The matrix of backends names a test for each cell: here it is checked that each is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def test_every_cell_of_the_matrix_has_its_test_here(unproven: Callable[..., list[str]]) -> None:
    assert unproven("cpu", Path(__file__).parent) == []
