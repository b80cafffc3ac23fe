"""One command from data to a proven adapter in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ragd_tune
from ragd_tune.cli import run
from ragd_tune.errors import WorkerError
from ragd_tune.store import Store
from ragd_tune.testing.machine import Machine


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_training_ends_in_a_proven_adapter_that_loads_by_its_name(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(machine.train("--epochs", "5", "--name", "mine", "--json"))
    summary = told(capsys)
    assert code == (0 if summary["passed"] else 3)
    assert summary["adapter"] > summary["base"]
    assert summary["interval"][0] <= summary["difference"] <= summary["interval"][1]
    assert summary["n"] + summary["proof"]["counts"]["excluded"] == 48
    assert summary["estimated_seconds"] > 0
    embedder = ragd_tune.load("mine", slot="embedder")
    assert embedder.id == summary["id"]
    assert len(embedder.embed(["castle chair"])[0]) == embedder.dimension


def test_the_verdict_opens_or_keeps_shut_the_way_to_activation(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(machine.train("--max-steps", "1", "--learning-rate", "1e-7", "--name", "idle", "--json"))
    assert told(capsys)["passed"] is False
    assert run(["adapters", "activate", "idle"]) == 3
    assert "not proven" in capsys.readouterr().err
    assert run(machine.train("--epochs", "5", "--name", "better", "--json")) == 0
    assert run(["adapters", "activate", "better"]) == 0
    assert run(["adapters", "activate", "idle", "--force"]) == 0
    capsys.readouterr()
    assert run(["adapters", "rollback", "--json"]) == 0
    assert told(capsys)["id"] == Store().get("better").id
    assert run(["adapters", "history", "--json"]) == 0
    actions = [one["action"] for one in json.loads(capsys.readouterr().out)]
    assert actions == ["activate", "activate", "rollback"]


def test_looks_at_a_test_set_are_counted_whoever_looks(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(machine.train("--max-steps", "2", "--name", "one", "--json"))
    assert told(capsys)["proof"]["looks"] == 1
    run(["evaluate", "one", "--data", str(machine.data), "--json"])
    assert told(capsys)["proof"]["looks"] == 2
    run(["evaluate", "one", "--data", str(machine.data), "--split", "dev", "--json"])
    assert told(capsys)["proof"]["looks"] == 1


def test_the_same_command_makes_the_same_adapter_and_another_seed_another(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = []
    for seed in ("0", "0", "1"):
        run(machine.train("--max-steps", "5", "--seed", seed, "--no-proof", "--json"))
        ids.append(told(capsys)["id"])
    assert ids[0] == ids[1] != ids[2]


def test_provenance_says_what_made_an_adapter_and_names_no_folder_of_this_machine(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(machine.train("--max-steps", "5", "--name", "mine", "--json"))
    store = Store()
    entry = store.get("mine")
    kept = store.records(entry.id, "provenance")[0].payload
    assert kept["plan"]["backend"] == "fake"
    assert kept["result"]["steps"] == 5
    assert kept["result"]["estimate"]["seconds"] > 0
    texts = [path.read_text() for path in (store.root / "records").rglob("*.json")]
    texts += [path.read_text() for path in entry.path.rglob("*.json")]
    assert not [text for text in texts if str(tmp_path) in text]


def test_an_adapter_crosses_to_another_store_and_its_proof_does_not_count_there(
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(machine.train("--epochs", "5", "--name", "mine"))
    before = ragd_tune.load("mine", slot="embedder").embed(["castle chair lamp"])
    assert run(["adapters", "export", "mine", str(tmp_path / "mine.tar")]) == 0
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "other"))
    assert run(["adapters", "import", str(tmp_path / "mine.tar"), "--name", "theirs"]) == 4
    assert "base" in capsys.readouterr().err
    assert Store().list() == []
    run(machine.train("--max-steps", "1", "--no-proof"))  # makes the base known here
    assert run(["adapters", "import", str(tmp_path / "mine.tar"), "--name", "theirs"]) == 0
    assert ragd_tune.load("theirs", slot="embedder").embed(["castle chair lamp"]) == before
    assert run(["adapters", "activate", "theirs"]) == 3
    assert "imported" in capsys.readouterr().err


def test_a_backend_that_fails_is_one_message_and_leaves_nothing_in_the_store(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Path(machine.base, "model.safetensors").write_bytes(b"")
    assert run(machine.train()) in {1, 4}
    assert "Traceback" not in capsys.readouterr().err
    assert Store().list() == []


def test_an_interpreter_that_is_none_says_so(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine.train("--python", "no/such/python")) == WorkerError.exit_code
    assert "look at --python" in capsys.readouterr().err


def test_show_plan_trains_nothing_and_says_where_each_option_comes_from(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGD_TUNE_BATCH_SIZE", "8")
    assert run(machine.train("--show-plan", "--seed", "4", "--json")) == 0
    options = told(capsys)["options"]
    assert options["batch_size"] == {
        "value": 8, "source": "environment", "where": "$RAGD_TUNE_BATCH_SIZE",
    }  # fmt: skip
    assert options["seed"] == {"value": 4, "source": "flag", "where": "--seed"}
    assert options["learning_rate"]["source"] == "kind"
    assert not machine.home.joinpath("adapters").exists()
