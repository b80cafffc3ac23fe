"""The same plans on two backends, for tests that compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.backends import TrainCell
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.registry import discover
from ragd_tune.testing import contrastive_rows
from ragd_tune.testing.bench import Bench, Run
from ragd_tune.testing.loaded import Loaded
from ragd_tune.testing.tiny import tiny_encoder

# MLX has an environment of its own (`tox -e mlx`), where these tests run and may not be left out.
# What it says of itself without MLX is tested everywhere.
collect_ignore_glob = [] if find_spec("mlx") else ["test_[!d]*.py"]


@dataclass(kw_only=True)
class Author:
    """What a bench asks for its plans."""

    backend: str
    place: Path
    given: Rows
    steps: int = 20

    def base_of(self, objective: str, folder: Path) -> Path:
        return self.place

    def rows(self, objective: str) -> Rows:
        return self.given

    def options(self, cell: TrainCell) -> Mapping[str, Value]:
        return {}


@dataclass(kw_only=True)
class Pair:
    """A bench for each of two backends, on one base and the same rows."""

    mlx: Bench
    cpu: Bench

    @property
    def both(self) -> tuple[Bench, Bench]:
        return self.mlx, self.cpu

    def train(self, cell: TrainCell, **options: Value) -> tuple[Run, Run]:
        """Train the same plan on both."""
        one, two = (bench.fresh(cell, **options) for bench in self.both)
        return one, two

    def load(self, run: Run, **changes: Any) -> tuple[Loaded, Loaded]:
        """Load what one of them made with both."""
        one, two = (bench.load(run, **changes) for bench in self.both)
        return one, two


@pytest.fixture
def pair(tmp_path: Path) -> Callable[..., Pair]:
    """Return a function that makes a pair on a tiny base of its own, or on the one given."""
    count = iter(range(100))

    def make(place: Path | None = None, *, rows: Rows | None = None, **settings: Any) -> Pair:
        folder = tmp_path / f"pair-{next(count)}"
        place = place or tiny_encoder(folder / "model", **settings)
        author = Author(backend="mlx", place=place, given=rows or contrastive_rows(40, 8))
        registry = discover()
        benches = {
            name: Bench(
                author=replace(author, backend=name), registry=registry, folder=folder / name
            )
            for name in ("mlx", "cpu")
        }
        return Pair(**benches)

    return make


def cell(tuning: str, objective: str = "contrastive") -> TrainCell:
    """Return the cell of ``tuning`` on the CPU."""
    return TrainCell(objective=objective, tuning=tuning, side="both", device="cpu")


@pytest.fixture
def cell_of() -> Callable[..., TrainCell]:
    return cell


LONG = ("causal_lm-dora-", "causal_lm-full-", "causal_lm-qlora-")
"""Cells whose suite is left to `tox -e mlx -- -m proof`: their own tests here run them in CI."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep CI's share of these tests below four minutes of a processor."""
    for item in items:
        if item.path.name == "test_backend_suite.py" and any(one in item.name for one in LONG):
            item.add_marker(pytest.mark.proof)
