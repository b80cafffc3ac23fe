"""What a backend says of itself: enough, true, and without importing a framework to say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragd_tune.backends import Availability, TrainCell
from ragd_tune.choose import Offer, choose_server, choose_trainer
from ragd_tune.errors import NoBackendError
from ragd_tune.plan import BaseModel
from ragd_tune.testing.bench import Bench
from ragd_tune.testing.hooks import Hooks, why_not
from ragd_tune.testing.objectives import COVERED
from ragd_tune.testing.probe import probe

_DETECT = """
found = registry.backend({name!r}).detect()
answer.update(devices=found.devices, priority=found.priority, reason=found.reason, mend=found.mend)
"""


class Declares(Hooks):
    """Tests of a backend's declaration."""

    def _probe(self, *, hide: bool) -> dict[str, Any]:
        what = _DETECT.format(name=self.backend)
        brings = f"backend {self.backend}"
        return probe(self.registry(), self.registry_from, brings, what, hide=hide)

    def test_it_declares_at_least_the_minimum(self) -> None:
        backend, minimum = self.registry().backend(self.backend), self.minimum()
        assert backend.train_cells, f"{self.backend} declares no train cell: it can do nothing"
        missing = [*(minimum.train - backend.train_cells), *(minimum.serve - backend.serve_cells)]
        told = "\n".join(f"  {cell}" for cell in sorted(map(str, missing)))
        assert not missing, f"{self.backend} has to declare, since {minimum.why}:\n{told}"

    def test_it_runs_on_this_machine(self) -> None:
        found = self.registry().backend(self.backend).detect()
        if found.reason and self.may_be_absent:
            pytest.skip(f"{self.backend} cannot run here, so nothing was shown: {found.reason}")
        assert not found.reason
        assert found.devices

    def test_a_declared_cell_is_tested_here_or_reported(self, declared: TrainCell) -> None:
        why = why_not(declared, self.registry().backend(self.backend))
        if why:
            pytest.skip(f"{declared} was not tested: {why}")

    def test_an_objective_is_covered_by_the_suite_or_owned_up_to(self, objective: str) -> None:
        if objective in COVERED:
            assert objective not in self.uncovered, "the suite covers it: take it out of uncovered"
            return
        assert objective in self.uncovered, (
            f"this suite has no checks for {objective!r}: write your own, "
            "and name it in `uncovered` so that this report says so"
        )
        pytest.skip(f"not covered: this suite has no checks for the objective {objective!r}")

    def test_uncovered_names_only_what_is_declared(self) -> None:
        cells = self.registry().backend(self.backend).train_cells
        assert set(self.uncovered) <= {cell.objective for cell in cells}

    def test_asking_it_imports_no_framework_and_touches_nothing(self) -> None:
        told = self._probe(hide=False)
        assert told["imported"] == [], "import frameworks inside the hooks that work"
        assert told["done"] == [], "detect() starts no process, opens no connection, writes no file"

    @pytest.mark.parametrize("hide", [False, True], ids=["as-installed", "no-framework-installed"])
    def test_detect_gives_devices_or_a_reason_with_a_mend(self, *, hide: bool) -> None:
        told = self._probe(hide=hide)
        if told["devices"]:
            assert not told["reason"], "a reason means that it cannot run"
            assert isinstance(told["priority"], int)
            assert 0 <= told["priority"] <= 100
        else:
            assert told["reason"], "say why it cannot run here"
            assert told["mend"], "say what gets it, as a command"

    def test_its_options_are_in_its_namespace_and_their_defaults_are_valid(self) -> None:
        for option in self.registry().backend(self.backend).options:
            assert option.name.startswith(f"{self.backend}."), option.name
            assert option.group == "backend", option.name
            assert option.help, option.name
            assert option.parse(option.default, where=option.name) == option.default

    def test_a_train_cell_that_it_does_not_declare_is_refused(self, bench: Bench) -> None:
        everywhere = Availability(devices=("cuda", "mps", "cpu"), priority=100)
        offer = Offer(backend=bench.backend, found=everywhere)
        for cell in _neighbours(bench.backend.train_cells):
            with pytest.raises(NoBackendError) as refused:
                choose_trainer(
                    [offer],
                    objective=cell.objective,
                    tuning=cell.tuning,
                    side=cell.side,
                    device=cell.device,
                )
            assert self.backend in refused.value.refused

    def test_a_base_that_it_runs_is_not_called_unfit(self, bench: Bench, tmp_path: Path) -> None:
        nowhere = BaseModel(name="none", path=tmp_path / "none", fingerprint="0" * 64)
        cells = bench.backend.train_cells
        here = {cell.objective for cell in cells if not why_not(cell, bench.backend)}
        for objective in sorted({cell.objective for cell in cells}):
            told = bench.backend.unfit(nowhere, objective)
            assert told == "", "what is not there is unfit for nobody: loading says that it is gone"
            if objective in here and objective not in self.uncovered:
                assert bench.backend.unfit(bench.base(objective), objective) == ""

    def test_a_format_that_it_does_not_declare_is_refused(self, bench: Bench) -> None:
        everywhere = Availability(devices=("cuda", "mps", "cpu"), priority=100)
        offer = Offer(backend=bench.backend, found=everywhere)
        for objective in sorted({cell.objective for cell in bench.backend.train_cells}):
            with pytest.raises(NoBackendError):
                choose_server([offer], objective=objective, format="no-such-format")


def _neighbours(cells: frozenset[TrainCell]) -> list[TrainCell]:
    """Return cells that differ from declared ones in one place and are not declared."""
    tunings = ("full", "lora", "dora", "qlora", "map", "no-such-tuning")
    made = {
        TrainCell(objective=objective, tuning=tuning, side=side, device=device)
        for one in cells
        for objective in (one.objective, "no-such-objective")
        for tuning in tunings
        for side in ("both", "query")
        for device in ("cpu", "cuda", "mps")
    }
    return sorted(made - cells)
