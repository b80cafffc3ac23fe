"""What a stop promises: a checkpoint, and then the very result of an undisturbed run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ragd_tune.backends import TrainCell
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.plan import Event, Stop, TrainPlan
from ragd_tune.testing.bench import Bench, differing, snapshot
from ragd_tune.testing.hooks import Hooks, only, reads
from ragd_tune.testing.loaded import Loaded


def stop_at(step: int) -> Callable[[Event], None]:
    """Return an observer that stops the run at the event of ``step``; 0 is the very first event."""

    def emit(event: Event) -> None:
        if step == 0 or (event.type == "step" and event.step == step):
            raise Stop

    return emit


class Stops(Hooks):
    """Tests of interruption and resumption, for every cell that runs here."""

    def _stopped(
        self, bench: Bench, cell: TrainCell, step: int, **options: Value
    ) -> tuple[TrainPlan, Rows]:
        rows = bench.author.rows(cell.objective)
        plan = bench.plan(cell, rows, **options)
        with pytest.raises(Stop):
            bench.train(plan, rows, stop_at(step))
        return plan, rows

    def test_a_stopped_run_keeps_a_checkpoint_and_leaves_no_adapter(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        plan, _ = self._stopped(bench, cell, self.steps // 2)
        assert snapshot(plan.out.parent / "checkpoints"), "save a checkpoint before Stop passes"
        assert snapshot(plan.out.parent).keys() == {
            f"checkpoints/{name}" for name in snapshot(plan.out.parent / "checkpoints")
        }

    def test_a_resumed_run_ends_like_an_undisturbed_one(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        step = self.steps // 2
        plan, rows = self._stopped(bench, cell, step)
        resumed, whole = bench.train(plan, rows), bench.reference(cell)
        assert resumed.result.resumed_from == step
        assert [one for one, _ in resumed.losses] == list(range(step + 1, self.steps + 1))
        assert differing(resumed, whole) == []
        assert resumed.result.losses == whole.result.losses
        assert resumed.result.rows_seen == whole.result.rows_seen
        assert resumed.result.steps == whole.result.steps

    def test_a_run_can_be_stopped_more_than_once(self, bench: Bench, cell: TrainCell) -> None:
        plan, rows = self._stopped(bench, cell, 1)
        with pytest.raises(Stop):
            bench.train(plan, rows, stop_at(self.steps - 1))
        assert differing(bench.train(plan, rows), bench.reference(cell)) == []

    def test_a_stop_at_the_very_first_event_passes_and_spoils_nothing(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        plan, rows = self._stopped(bench, cell, 0)
        assert differing(bench.train(plan, rows), bench.reference(cell)) == []

    def test_a_stop_at_the_last_step_passes_and_the_next_run_has_only_to_finish(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        plan, rows = self._stopped(bench, cell, self.steps)
        run = bench.train(plan, rows)
        assert run.losses == []
        assert differing(run, bench.reference(cell)) == []

    @pytest.mark.parametrize("keep", [0.0, 0.5], ids=["emptied", "cut-in-half"])
    def test_a_torn_checkpoint_does_no_harm(
        self, bench: Bench, cell: TrainCell, keep: float
    ) -> None:
        plan, rows = self._stopped(bench, cell, self.steps // 2)
        for path in (plan.out.parent / "checkpoints").rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                path.write_bytes(data[: int(len(data) * keep)])
        assert differing(bench.train(plan, rows), bench.reference(cell)) == []

    def test_checkpoints_that_are_asked_for_change_nothing(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        run = bench.fresh(cell, checkpoint_steps=2)
        kept = [event.step for event in run.events if event.type == "checkpoint"]
        assert kept[: len(range(2, self.steps, 2))] == list(range(2, self.steps, 2))
        assert differing(run, bench.reference(cell)) == []

    @only(reads("blend"))
    def test_a_blend_is_made_when_the_adapter_is_saved_and_in_no_checkpoint(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        if "blend" in self.ignores:
            pytest.skip(f"{self.backend} ignores the option blend")
        step, whole = self.steps // 2, bench.reference(cell)
        plan, rows = self._stopped(bench, cell, step, blend=0.5)
        half = bench.train(plan, rows)
        assert half.losses == whole.losses[step:], "a blend is no part of a step"
        base = bench.load_base(cell.objective, cell.device, facts=whole.result.facts)
        gaps = [_gap(base, bench.load(run)) for run in (half, whole)]
        assert 0.0 < gaps[0] < gaps[1], "half of the way is nearer to the base"


def _gap(base: Loaded, tuned: Loaded) -> float:
    """Return how far apart the vectors of some queries are."""
    found = [model.embed(["garden forest", "harbour lamp"], "query") for model in (base, tuned)]
    return float(np.abs(found[0] - found[1]).mean())
