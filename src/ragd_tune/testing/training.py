"""What training promises: it learns, repeats, takes the core's batches, keeps to its folder."""

from __future__ import annotations

import itertools
import math
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragd_tune.backends import ServeCell, TrainCell
from ragd_tune.errors import TuneError
from ragd_tune.objectives import Rows
from ragd_tune.plan import TrainResult
from ragd_tune.store.safety import check_folder
from ragd_tune.testing.bench import Bench, Run, differing, epoch_of, snapshot, steps_of
from ragd_tune.testing.hooks import RUN_CHANGES, Hooks, only, reads
from ragd_tune.testing.objectives import Checks
from ragd_tune.testing.samples import ODD


class Trains(Hooks):
    """Tests of ``ragd_tune_train`` and ``ragd_tune_estimate``, for every cell that runs here."""

    def test_the_loss_falls(self, bench: Bench, cell: TrainCell) -> None:
        rows = bench.author.rows(cell.objective)
        run = bench.train(bench.plan(cell, rows, max_steps=None, epochs=6.0), rows)
        losses = [loss for _, loss in run.losses if loss is not None]
        part = len(losses) // 6
        assert np.mean(losses[-part:]) < np.mean(losses[:part])

    def test_epochs_are_passes_over_the_cores_batches(self, bench: Bench, cell: TrainCell) -> None:
        rows = bench.author.rows(cell.objective)
        plan = bench.plan(cell, rows, max_steps=None, epochs=2.0)
        passes = [epoch_of(plan, rows.train, number) for number in (0, 1)]
        assert bench.train(plan, rows).result.steps == sum(map(len, passes))

    def test_the_same_seed_gives_the_same_bytes(self, bench: Bench, cell: TrainCell) -> None:
        first = bench.reference(cell)
        random.seed(12345)
        np.random.seed(12345)  # noqa: NPY002 - what other code does to the global state
        assert differing(bench.fresh(cell), first) == []

    def test_another_seed_gives_other_weights(self, bench: Bench, cell: TrainCell) -> None:
        other = bench.fresh(cell, seed=1)
        assert weights(other) != weights(bench.reference(cell))

    def test_max_steps_is_honoured(self, bench: Bench, cell: TrainCell) -> None:
        for run in (bench.fresh(cell, max_steps=1), bench.reference(cell)):
            steps = run.plan.integer("max_steps")
            assert run.result.steps == steps
            assert [step for step, _ in run.losses] == list(range(1, steps + 1))

    def test_events_start_then_count_every_step(self, bench: Bench, cell: TrainCell) -> None:
        events = bench.reference(cell).events
        types = [event.type for event in events]
        assert types.count("start") == 1, "one event of type start, when the steps begin"
        assert "step" not in types[: types.index("start")]
        steps = [event for event in events if event.type == "step"]
        assert [event.step for event in steps] == list(range(1, self.steps + 1))
        assert {event.steps for event in steps} == {self.steps}
        for event in steps:
            assert event.loss is not None
            assert math.isfinite(event.loss)

    def test_the_result_is_complete_and_travels_as_json(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        run = bench.reference(cell)
        result = run.result
        assert TrainResult.from_json(result.to_json()) == result
        assert result.seconds > 0
        assert result.peak_bytes > 0
        assert result.versions, "name the libraries that took part, with their versions"
        assert result.resumed_from == 0
        assert 0 < len(result.losses) <= 1_000
        assert set(result.losses) <= set(run.losses)

    def test_the_facts_of_the_model_are_filled_in(self, bench: Bench, cell: TrainCell) -> None:
        run = bench.reference(cell)
        facts = run.result.facts
        assert facts is not None, "TrainResult.facts: the manifest is made from them"
        bench.checks(cell).check_facts(facts, run.plan)

    def test_what_it_made_can_be_loaded_by_itself(self, bench: Bench, cell: TrainCell) -> None:
        made = ServeCell(
            format=bench.reference(cell).result.format,
            objective=cell.objective,
            device=cell.device,
            side=cell.side,
        )
        assert made in bench.backend.serve_cells

    def test_the_rows_seen_are_those_of_the_cores_batches(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        run = bench.reference(cell)
        course = itertools.islice(steps_of(run.plan, run.rows.train), self.steps)
        assert run.result.rows_seen == sum(map(len, course))

    def test_the_first_step_reads_every_row_of_the_cores_first_batch_and_no_other(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        rows = bench.author.rows(cell.objective)
        before = weights(_one_step(bench, cell, rows))
        first = next(steps_of(bench.plan(cell, rows), rows.train))
        others = [i for i in range(len(rows.train)) if i not in first]
        same = weights(_one_step(bench, cell, _reworded(bench.checks(cell), rows, others)))
        assert same == before, "a row outside the first batch changed the first step"
        for index in first:
            changed = weights(_one_step(bench, cell, _reworded(bench.checks(cell), rows, [index])))
            assert changed != before, f"row {index} of the first batch was not read"

    def test_an_option_reaches_the_training(
        self, bench: Bench, cell: TrainCell, option: str
    ) -> None:
        whole = bench.reference(cell)
        assert whole.result.facts is not None
        values = {**RUN_CHANGES, **bench.checks(cell).changes(whole.result.facts)}
        if cell.side == "query":  # documents keep their length; the rows' queries have six tokens
            values["max_length"] = 5
        changed = bench.fresh(cell, **{option: values[option]})
        same = weights(changed) == weights(whole)
        if option in bench.checks(cell).idle(cell.side):
            assert same, f"{option} has nothing to do with the side {cell.side}"
            return
        if option in self.ignores:
            assert same, f"it reads {option}: take it out of ignores"
            pytest.skip(f"{self.backend} ignores the option {option}")
        assert not same, f"{option} changed nothing; name it in ignores if that is meant"

    @only(reads("matryoshka_dims"))
    def test_matryoshka_dimensions_are_told(self, bench: Bench, cell: TrainCell) -> None:
        if "matryoshka_dims" in self.ignores:
            pytest.skip(f"{self.backend} ignores the option matryoshka_dims")
        facts = bench.reference(cell).result.facts
        assert facts is not None
        assert facts.dimensions == ()
        half = facts.dimension // 2
        told = bench.fresh(cell, matryoshka_dims=(half,)).result.facts
        assert told is not None
        assert told.dimensions == (facts.dimension, half)

    def test_it_writes_only_into_its_out_folder_and_the_checkpoints(
        self, bench: Bench, cell: TrainCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        base = snapshot(bench.base(cell.objective).path)
        for name in ("home", "here", "run"):
            (tmp_path / name).mkdir()
        for variable in ("HOME", "USERPROFILE", "XDG_CACHE_HOME"):
            monkeypatch.setenv(variable, str(tmp_path / "home"))
        monkeypatch.chdir(tmp_path / "here")
        rows = bench.author.rows(cell.objective)
        out = tmp_path / "run" / "out"
        bench.train(replace(bench.plan(cell, rows, checkpoint_steps=2), out=out), rows)
        allowed = ("run/out/", "run/checkpoints/")
        assert [name for name in snapshot(tmp_path) if not name.startswith(allowed)] == []
        assert snapshot(bench.base(cell.objective).path) == base, "the base model was written to"

    def test_the_adapter_is_safetensors_and_plain_data(self, bench: Bench, cell: TrainCell) -> None:
        found = check_folder(bench.reference(cell).plan.out)
        assert any(name.endswith(".safetensors") for name in found)

    def test_the_adapter_names_no_path_of_this_machine(self, bench: Bench, cell: TrainCell) -> None:
        run = bench.reference(cell)
        places = {bench.folder, run.plan.base.path, run.plan.out, Path.home(), Path(sys.prefix)}
        for name, data in run.files.items():
            for place in places - {Path(place.anchor) for place in places}:
                for written in (str(place), place.as_posix(), str(place).replace("\\", "\\\\")):
                    assert written.encode() not in data, f"{name} holds {written}"

    def test_an_estimate_changes_nothing_about_the_training(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        rows = bench.author.rows(cell.objective)
        plan = bench.plan(cell, rows)
        made = bench.estimate(plan, rows)
        assert snapshot(plan.out.parent) == {}, "an estimate leaves nothing behind"
        assert made.steps == self.steps
        assert made.seconds > 0
        assert made.peak_bytes > 0
        assert made.measured_steps > 0, "an estimate comes from measured steps"
        assert differing(bench.train(plan, rows), bench.reference(cell)) == []

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD)
    def test_odd_texts_are_trained_on(self, bench: Bench, cell: TrainCell, text: str) -> None:
        rows = Rows(objective=cell.objective, train=bench.checks(cell).odd_rows(text))
        run = bench.train(bench.plan(cell, rows), rows)
        assert run.result.steps == self.steps

    def test_no_rows_are_a_clear_error(self, bench: Bench, cell: TrainCell) -> None:
        rows = Rows(objective=cell.objective, train=[])
        plan = bench.plan(cell, rows)
        with pytest.raises(TuneError) as refused:
            bench.train(plan, rows)
        assert "row" in refused.value.message
        assert not plan.out.exists(), "nothing half-written"

    def test_one_row_trains_or_is_a_clear_error(
        self, bench: Bench, cell: TrainCell, single: str
    ) -> None:
        row = bench.checks(cell).single_rows()[single]
        rows = Rows(objective=cell.objective, train=[row])
        _tune_error_or(lambda: bench.train(bench.plan(cell, rows), rows).result.steps, self.steps)


def _tune_error_or(work: Callable[[], int], expected: int) -> None:
    try:
        steps = work()
    except TuneError:
        return
    assert steps == expected


def weights(run: Run) -> dict[str, bytes]:
    """Return the bytes of the adapter's weights by file."""
    return {name: data for name, data in run.files.items() if name.endswith(".safetensors")}


def _one_step(bench: Bench, cell: TrainCell, rows: Rows) -> Run:
    return bench.train(bench.plan(cell, rows, max_steps=1), rows)


def _reworded(checks: Checks, rows: Rows, indices: list[int]) -> Rows:
    """Return ``rows`` with other texts in some of them, so that the batches are the same."""
    train = [checks.reworded(row) if i in indices else row for i, row in enumerate(rows.train)]
    return replace(rows, train=train)
