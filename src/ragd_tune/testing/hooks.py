"""What an author overrides in a backend's suite, and how its tests come by cells and a bench."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.backends import Backend, TrainCell
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.registry import Registry
from ragd_tune.testing.bench import Bench
from ragd_tune.testing.minimum import MINIMA, Minimum, smallest
from ragd_tune.testing.samples import contrastive_rows

COVERED = frozenset({"contrastive"})
"""Objectives that the suite has checks for."""

_BENCH = pytest.StashKey[Bench]()


class Hooks:
    """What differs between backends; see :class:`ragd_tune.testing.BackendSuite`."""

    backend: str = ""
    registry_from: str = "ragd_tune.registry:discover"
    uncovered: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    may_be_absent: bool = False
    steps: int = 6
    tolerance: float = 1e-5
    loss_tolerance: float | None = 1e-3

    def base(self, folder: Path) -> Path:
        """Make a base model of a few thousand weights below ``folder`` and return its folder."""
        raise NotImplementedError("override base(): the suite needs a tiny base model")

    def rows(self, objective: str) -> Rows:
        """Return rows to train on: more than one batch of four, with conflicts among them."""
        assert objective in COVERED
        return contrastive_rows()

    def options(self, cell: TrainCell) -> Mapping[str, Value]:
        """Return options that differ from the suite's own, as a learning rate for this cell."""
        return {}

    def minimum(self) -> Minimum:
        """Return what the backend has to declare at the least."""
        known = MINIMA.get(self.backend)
        return known or smallest(self.registry().backend(self.backend))

    # -- what the tests use --------------------------------------------------------------------

    def registry(self) -> Registry:
        """Return the registry that ``registry_from`` makes: ``module:function``."""
        module, _, name = self.registry_from.partition(":")
        made = getattr(import_module(module), name)()
        assert isinstance(made, Registry)
        return made

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give every train cell that runs here its own tests, and every declared one a report."""
        wanted = set(metafunc.fixturenames)
        if not wanted & {"cell", "declared", "objective"}:
            return
        backend = self.registry().backend(self.backend)
        cells = sorted(backend.train_cells)
        if "objective" in wanted:
            metafunc.parametrize("objective", sorted({cell.objective for cell in cells}))
        if "declared" in wanted:
            metafunc.parametrize("declared", cells, ids=_id)
        if "cell" in wanted:
            here = [one for one in cells if not why_not(one, backend) and one.objective in COVERED]
            metafunc.parametrize("cell", here, ids=_id)

    @pytest.fixture
    def bench(
        self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Bench:
        """Return the class's bench: runs that several tests look at are made once."""
        node: Any = request.node.getparent(pytest.Class)
        if _BENCH not in node.stash:
            folder = tmp_path_factory.mktemp("bench")
            node.stash[_BENCH] = Bench(author=self, registry=self.registry(), folder=folder)
        made: Bench = node.stash[_BENCH]
        return made


def why_not(cell: TrainCell, backend: Backend) -> str:
    """Return why ``cell`` cannot run on this machine; empty if it can."""
    found = backend.detect()
    return found.reason or ("" if cell.device in found.devices else f"no {cell.device} here")


def _id(cell: TrainCell) -> str:
    return f"{cell.objective}-{cell.tuning}-{cell.side}-{cell.device}"
