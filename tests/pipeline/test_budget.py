"""``--budget``: this machine is measured, the best recipe that fits is planned, the user's stay."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.cli import run
from ragd_tune.errors import UsageError, WorkerError
from ragd_tune.pipeline import Planned, Request, budgeting, plan, train, workshop
from ragd_tune.pipeline.budgeting import Speed
from ragd_tune.plan import DEADLINE
from ragd_tune.testing.machine import Machine
from ragd_tune_bi_encoder.recipes import RECIPES


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> list[Speed]:
    """What the machine is measured to do; a test puts another one in."""
    told = [Speed(per_character=1e-9, start=0.0)]
    monkeypatch.setattr(budgeting, "_measured", lambda *args: told[0])
    return told


def planned(machine: Machine, **given: object) -> Planned:
    asked = {"base": str(machine.base), "backend": machine.backend, "budget": "1h", **given}
    return plan(workshop(), Request(kind="bi-encoder", data=machine.data, given=asked))


def slower(made: Planned) -> Speed:
    """Return the speed by which the dearest recipe takes 2.5 times the time that there is."""
    assert made.weighing is not None
    dearest = max(one.seconds for one in made.weighing.weighed) / 1e-9
    return Speed(per_character=2.5 * made.weighing.left / dearest, start=0.0)


def test_real_steps_are_timed_and_the_plan_tells_what_was_weighed(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine.train("--budget", "10m", "--show-plan", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    budget = told["budget"]
    assert budget["seconds"] == 600
    assert 0 < budget["seconds_left"] < 600
    taken = [one for one in budget["recipes"] if one["chosen"]]
    assert [one["score"] for one in taken] == [max(one["score"] for one in budget["recipes"])]
    assert taken[0]["seconds"] > 0
    assert told["options"]["negatives"]["where"] == "the recipe for the budget"
    assert not list(machine.home.glob("runs/measuring-*"))


def test_a_person_sees_the_recipes_and_the_reason(
    machine: Machine, speed: list[Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine.train("--budget", "10m", "--show-plan")) == 0
    said = capsys.readouterr().out
    assert "Recipes for 10 min" in said
    assert "the best that fits" in said


def test_a_slower_machine_gets_a_cheaper_recipe(machine: Machine, speed: list[Speed]) -> None:
    fast = planned(machine)
    speed[0] = slower(fast)
    slow = planned(machine)
    assert fast.weighing is not None
    assert slow.weighing is not None
    assert fast.weighing.chosen is not None
    assert slow.weighing.chosen is not None
    assert slow.weighing.chosen.score < fast.weighing.chosen.score
    assert {one.fits for one in slow.weighing.weighed} == {True, False}
    speed[0] = Speed(per_character=10.0, start=0.0)
    slowest = planned(machine)
    assert slowest.weighing is not None
    assert "none fits" in slowest.weighing.reason
    assert slowest.ends is not None


def test_recipes_for_more_rows_than_there_are_do_not_compete(
    machine: Machine, speed: list[Speed]
) -> None:
    made = planned(machine)
    assert made.weighing is not None
    recipes = [one.recipe for one in made.weighing.weighed]
    assert all(one.rows_from <= len(made.rows.train) < one.rows_below for one in recipes)
    assert len(recipes) < len([one for one in RECIPES if made.plan.tuning in one.tunings])


def test_mining_costs_time_until_it_is_done(machine: Machine, speed: list[Speed]) -> None:
    speed[0] = Speed(per_character=1e-9, start=50.0)
    costs = []
    for _ in range(2):
        weighing = planned(machine).weighing
        assert weighing is not None
        costs.append(
            min(one.seconds for one in weighing.weighed if one.recipe.options["negatives"])
        )
    assert costs[0] > 50 > costs[1]


@pytest.mark.parametrize(
    "given", [{"negatives": 1}, {"epochs": 0.5}, {"training_length": 64}, {"mine": "no"}]
)
def test_what_the_user_set_stays(
    machine: Machine, speed: list[Speed], given: dict[str, object]
) -> None:
    made = planned(machine, **given)
    assert made.weighing is not None
    assert made.weighing.chosen is not None
    for name, value in given.items():
        assert made.plan.options[name] == value
    if "mine" in given:
        assert made.plan.options["negatives"] == 0


def test_many_rows_get_no_larger_batches_than_the_recipe_was_measured_with(
    machine: Machine, speed: list[Speed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragd_tune_bi_encoder.defaults.BATCHES", ((1, 64, 1),))
    monkeypatch.setattr("ragd_tune.ragd.tiers.tier_here", lambda path: "standard")
    wanted: list[tuple[dict[str, object], int, float]] = [
        ({"budget": None}, 64, 2e-4),
        ({}, 32, 1e-4),
        ({"batch_size": 48, "learning_rate": 3e-4}, 48, 3e-4),
    ]
    for given, batch, rate in wanted:
        options = planned(machine, tuning="full", **given).plan.options
        assert (options["batch_size"], options["learning_rate"]) == (batch, rate)


def test_options_that_nothing_was_measured_with_are_trained_in_the_time(
    machine: Machine, speed: list[Speed]
) -> None:
    made = planned(machine, negatives=3)
    assert made.weighing is not None
    assert (made.weighing.chosen, made.weighing.weighed) == (None, ())
    assert "no recipe was measured with your negatives" in made.weighing.reason
    assert made.plan.options["negatives"] == 3


@pytest.mark.parametrize("other", [{"minutes": 1}, {"max_steps": 3}])
def test_two_bounds_exclude_each_other(machine: Machine, other: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        planned(machine, **other)


def test_a_bare_number_is_refused_with_what_it_takes(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine.train("--budget", "5")) == 2
    said = capsys.readouterr().err
    assert "--budget: budget cannot be '5'" in said
    assert "90s, 5m or 1h" in said


def test_a_budget_that_is_over_before_the_first_step_is_an_error_that_says_so(
    machine: Machine, speed: list[Speed]
) -> None:
    with pytest.raises(UsageError, match="before the first step"):
        planned(machine, budget="0.001s")


def test_the_worker_is_told_when_the_time_is_over_and_the_records_are_not(
    machine: Machine, speed: list[Speed]
) -> None:
    shop, made = workshop(), planned(machine)
    before = time.time()
    trained = train(shop, made)
    launched = json.loads((made.plan.out.parent / "plan.json").read_text())
    assert before < launched["options"][DEADLINE] <= before + 3600
    kept: Any = shop.store.records(trained.id, "provenance")[0].payload
    assert kept["plan"]["options"]["budget"] == 3600
    assert DEADLINE not in kept["plan"]["options"]


def test_a_run_whose_time_is_over_ends_with_what_it_has(
    machine: Machine, speed: list[Speed]
) -> None:
    made = planned(machine)
    trained = train(workshop(), replace(made, ends=time.time() - 1))
    assert trained.result.steps == 0 < len(made.rows.train)
    assert trained.path.is_dir()


def test_an_unfinished_run_is_planned_again_as_it_was_whatever_is_measured_now(
    machine: Machine, speed: list[Speed]
) -> None:
    first = planned(machine)
    kept = first.plan.out.parent / "checkpoints" / "step-00000001"
    kept.mkdir(parents=True)
    speed[0] = slower(first)
    assert planned(machine).plan.id == first.plan.id
    assert planned(machine, budget="2h").plan.id != first.plan.id
    kept.rmdir()
    assert planned(machine).plan.id != first.plan.id


def test_a_search_for_options_refuses_a_budget_of_one_training_before_it_measures_for_it(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgeting, "_measured", lambda *args: pytest.fail("measured"))
    monkeypatch.setattr("ragd_tune.pipeline.autotuning.check_optuna", lambda: None)
    monkeypatch.setenv("RAGD_TUNE_BUDGET", "1h")
    given = ("--data", str(machine.data), "--base", str(machine.base), "--backend", "fake")
    assert run(["train", "auto-tune", "bi-encoder", *given]) == 2
    assert "a search takes --minutes" in capsys.readouterr().err


def test_nothing_is_left_of_a_measuring_that_fails(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Path] = []

    def die(folder: Path, **more: object) -> None:
        measured.extend(machine.home.glob("runs/measuring-*"))
        raise WorkerError("the process died")

    monkeypatch.setattr("ragd_tune.worker.measure", die)
    assert run(machine.train("--budget", "10m")) == 1
    (folder,) = measured
    assert not folder.exists()
