"""The search for options: on dev alone, the same for a seed, and never from the beginning again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.cli import run
from ragd_tune.data import read, write
from ragd_tune.errors import TrainingDivergedError
from ragd_tune.pipeline.training import train as really
from ragd_tune.store import Store
from ragd_tune.testing.machine import Machine

posix = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")


def command(machine: Machine, *more: str) -> list[str]:
    given = ("--data", str(machine.data), "--base", str(machine.base), "--backend", "fake")
    return ["train", "auto-tune", "bi-encoder", *given, *more]


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def tried(summary: dict[str, Any]) -> list[tuple[dict[str, float], float]]:
    return [(one["options"], one["score"]) for one in summary["trials"]]


def test_a_search_looks_at_dev_alone_and_leaves_nothing_in_the_store(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(machine, "--trials", "2", "--json")) == 0
    found = told(capsys)
    assert (found["split"], found["compared"], found["queries"]) == ("dev", 2, 48)
    assert found["best"]["score"] == max(one["score"] for one in found["trials"])
    store = Store()
    assert store.list() == []
    assert store.looks() == []
    assert not (Path(found["config"]).parent / "store").exists()


def test_the_best_options_train_by_config_and_are_proven_on_test_once(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "best.yaml"
    more = (
        "--trials",
        "2",
        "--tuning",
        "lora",
        "--search",
        "epochs,lora-rank",
        "--name",
        "tuned",
        "--json",
    )
    code = run(command(machine, *more, "--out", str(out), "--prove"))
    summary = told(capsys)
    assert code == (0 if summary["passed"] else 3)
    assert summary["proof"]["looks"] == 1
    best = summary["search"]["best"]["options"]
    assert set(best) == {"epochs", "lora_rank"}
    assert [one.test[-5:] for one in Store().looks()] == ["-test"]
    given = ("--data", str(machine.data), "--config", str(out), "--no-proof", "--json")
    assert run(["train", "bi-encoder", *given]) == 0
    assert told(capsys)["id"] == summary["id"] == Store().get("tuned").id


def test_the_table_says_how_many_were_compared_and_that_this_is_optimistic(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(machine, "--trials", "2", "--search", "epochs")) == 0
    said = capsys.readouterr()
    assert "2 trials were compared on the same 48 dev queries" in said.out
    assert "the defaults" in said.out
    assert "--config" in said.out
    assert "trial 2 of 2" in said.err


@posix
def test_a_killed_search_goes_on_and_ends_as_one_that_was_left_alone(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ("--trials", "3", "--max-steps", "150", "--checkpoint-steps", "5", "--json")
    given = command(machine, *few, "--search", "learning_rate,negatives")
    with subprocess.Popen([sys.executable, "-m", "ragd_tune", *given]) as process:
        while not is_in_second_trial(machine):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    kept = journal(machine).read_bytes()
    wait_for_workers(machine)
    assert run(given) == 0
    resumed = told(capsys)
    assert journal(machine).read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    monkeypatch.setenv("RAGD_TUNE_HOME", str(machine.home.parent / "undisturbed"))
    assert run(given) == 0
    assert tried(told(capsys)) == tried(resumed)


def journal(machine: Machine) -> Path:
    return next(iter(machine.home.glob("runs/search-*/journal.log")), Path("none"))


def is_in_second_trial(machine: Machine) -> bool:
    """Say whether the first trial is written down, and another one has a checkpoint."""
    path = journal(machine)
    done = path.read_text().count('"queries"') if path.is_file() else 0
    home = machine.home.glob("runs/search-*/store/runs/*/checkpoints/step-*")
    return done == 1 and any(home)


def wait_for_workers(machine: Machine) -> None:
    """A worker whose parent died keeps a checkpoint and ends by itself."""
    for _ in range(500):
        listed = subprocess.run(
            ["ps", "-e", "-ww", "-o", "args"], capture_output=True, text=True, check=True
        )
        if f"ragd_tune.worker {machine.home}" not in listed.stdout:
            return
        time.sleep(0.02)
    raise AssertionError("the worker outlived its parent")


def test_ctrl_c_says_how_to_go_on(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ragd_tune.pipeline.trials.train", stopped)
    assert run(command(machine, "--trials", "2")) == 130
    said = capsys.readouterr().err
    assert "stopped in trial 1; 0 trials are kept" in said
    assert "run the same command again" in said


def test_a_trial_that_fails_is_told_and_the_others_go_on(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(shop: Any, planned: Any, **more: Any) -> Any:
        if planned.plan.number("epochs") != 1:
            raise TrainingDivergedError("the loss became NaN\nat step 3")
        return really(shop, planned, **more)

    monkeypatch.setattr("ragd_tune.pipeline.trials.train", train)
    assert run(command(machine, "--trials", "2", "--search", "epochs", "--json")) == 0
    first, second = told(capsys)["trials"]
    assert first["score"] is not None
    assert (second["score"], second["failure"]) == (None, "the loss became NaN at step 3")


def test_where_nothing_works_the_search_ends_with_the_reason(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*args: object, **kwargs: object) -> None:
        raise TrainingDivergedError("the loss became NaN")

    monkeypatch.setattr("ragd_tune.pipeline.trials.train", train)
    assert run(command(machine)) == 1
    said = capsys.readouterr().err
    assert "the first 3 trials all failed; the last one: the loss became NaN" in said


def test_no_trial_is_begun_that_the_time_left_does_not_hold(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(machine, "--minutes", "0.01", "--json")) == 0
    found = told(capsys)
    assert len(found["trials"]) == 1
    assert "s are left" in found["ended"]


@pytest.mark.parametrize(("held", "said"), [(0, "no dev split"), (19, "has 19 queries")])
def test_without_enough_dev_queries_there_is_no_search_and_test_does_not_stand_in(
    machine: Machine, capsys: pytest.CaptureFixture[str], held: int, said: str
) -> None:
    data = read(machine.data)
    qrels = {split: dict(one) for split, one in data.qrels.items()}
    qrels["dev"] = dict(list(qrels["dev"].items())[:held])
    if not held:
        del qrels["dev"]
    shutil.rmtree(machine.data)
    write(data.with_qrels(qrels), machine.data)
    assert run(command(machine)) == 5
    message = capsys.readouterr().err
    assert said in message
    assert "data split" in message


@posix
def test_the_same_search_is_not_made_twice_at_once(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    given = command(machine, "--trials", "1", "--max-steps", "100000", "--checkpoint-steps", "10")
    with subprocess.Popen([sys.executable, "-m", "ragd_tune", *given]) as process:
        while not any(machine.home.glob("runs/search-*/store/runs/*/checkpoints/step-*")):
            assert process.poll() is None
            time.sleep(0.02)
        assert run(given) == 1
        assert "another process is making this very search" in capsys.readouterr().err
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
