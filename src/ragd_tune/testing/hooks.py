"""What an author overrides in a backend's suite, and how its tests come by cells and a bench."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ragd_tune.backends import Backend, TrainCell
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.plan import ModelFacts
from ragd_tune.registry import Registry
from ragd_tune.testing.bench import Bench
from ragd_tune.testing.minimum import MINIMA, Minimum, smallest
from ragd_tune.testing.objectives import COVERED, Checks

_Test = TypeVar("_Test", bound=Callable[..., None])

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

    def base_of(self, objective: str, folder: Path) -> Path:
        """Make a base model for ``objective``; :meth:`base` does for all of them by default."""
        return self.base(folder)

    def rows(self, objective: str) -> Rows:
        """Return rows to train on: those of the suite by default."""
        return COVERED[objective].rows()

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
        backend = self.registry().backend(self.backend)
        cells = sorted(backend.train_cells)
        if "objective" in wanted:
            metafunc.parametrize("objective", sorted({cell.objective for cell in cells}))
        if "declared" in wanted:
            metafunc.parametrize("declared", cells, ids=_id)
        if "cell" in wanted:
            here = [one for one in cells if not why_not(one, backend) and one.objective in COVERED]
            _with_cells(metafunc, here)

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


RUN_CHANGES: dict[str, Value] = {
    "batch_size": 2,
    "learning_rate": 3e-4,
    "warmup": 0.5,
    "schedule": "linear",
    "weight_decay": 0.5,
    "max_grad_norm": 1e-3,
    "max_length": 8,
}
"""A value for each option of the run that must change the weights, whatever the objective."""

_SOME = ModelFacts(dimension=2, max_length=2)


def only(wanted: Callable[[Checks], bool]) -> Callable[[_Test], _Test]:
    """Give a test only the cells whose objective is ``wanted``."""

    def mark(test: _Test) -> _Test:
        test.only = wanted  # type: ignore[attr-defined]
        return test

    return mark


def has_vectors(checks: Checks) -> bool:
    """Say whether a text has one vector under this objective."""
    return checks.vectors


def reads(option: str) -> Callable[[Checks], bool]:
    """Return what says whether an objective has ``option``."""
    return lambda checks: option in checks.changes(_SOME)


def _with_cells(metafunc: pytest.Metafunc, cells: list[TrainCell]) -> None:
    """Give a test each cell, with each option or each single row of the cell's objective."""
    wanted = getattr(metafunc.function, "only", lambda checks: True)
    cells = [cell for cell in cells if wanted(COVERED[cell.objective])]
    for more, names in _BESIDE.items():
        if more in metafunc.fixturenames:
            pairs = [(cell, name) for cell in cells for name in names(COVERED[cell.objective])]
            ids = [f"{_id(cell)}-{name}" for cell, name in pairs]
            metafunc.parametrize(("cell", more), pairs, ids=ids)
            return
    metafunc.parametrize("cell", cells, ids=_id)


_BESIDE: Mapping[str, Callable[[Checks], Iterable[str]]] = {
    "option": lambda checks: dict.fromkeys([*RUN_CHANGES, *checks.changes(_SOME)]),
    "single": lambda checks: checks.single_rows(),
}
"""What a test may ask for beside a cell."""


def why_not(cell: TrainCell, backend: Backend) -> str:
    """Return why ``cell`` cannot run on this machine; empty if it can."""
    found = backend.detect()
    return found.reason or ("" if cell.device in found.devices else f"no {cell.device} here")


def _id(cell: TrainCell) -> str:
    return f"{cell.objective}-{cell.tuning}-{cell.side}-{cell.device}"
