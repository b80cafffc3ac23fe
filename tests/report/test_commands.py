from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragd_tune.cli import run, train
from ragd_tune.store import Store
from ragd_tune.testing.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    train._registry.cache_clear()
    return Machine.make(tmp_path, monkeypatch)


def test_train_and_evaluate_end_in_a_report_and_records_make_it_again(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (tmp_path / f"{name}.html" for name in ("one", "two", "three"))
    options = ("--epochs", "5", "--matryoshka-dims", "8", "--name", "mine")
    assert run(machine.train(*options, "--report", str(first))) == 0
    text = first.read_text(encoding="utf-8")
    for words in ("Use it", "Learning curve", "Cut vectors", "Time and memory", "Gained most"):
        assert words in text
    assert run(["adapters", "report", "mine", str(second)]) == 0
    assert second.read_text(encoding="utf-8") == text
    assert run(["evaluate", "mine", "--data", str(machine.data), "--report", str(third)]) == 0
    assert "looked at 2 times" in third.read_text(encoding="utf-8")
    assert str(third) in capsys.readouterr().err


def test_a_record_is_told_by_its_number_and_a_missing_one_is_not_made_up(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(machine.train("--max-steps", "2", "--name", "mine"))
    run(["evaluate", "mine", "--data", str(machine.data)])
    numbers = [one.number for one in Store().records(Store().get("mine").id, "proof")]
    out = tmp_path / "r.json"
    assert run(["adapters", "report", "mine", str(out), "--record", str(numbers[0])]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["proof"]["looks"] == 1
    capsys.readouterr()
    assert run(["adapters", "report", "mine", str(out), "--record", "77"]) == 1
    assert f"its proofs are {numbers[0]}, {numbers[1]}" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_trained(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine.train("--report", str(tmp_path / "r.pdf"))) == 2
    assert "cannot be written as .pdf" in capsys.readouterr().err
    assert run(machine.train("--no-proof", "--report", str(tmp_path / "r.html"))) == 2
    assert "no proof to report" in capsys.readouterr().err
    assert Store().list() == []


def test_nothing_is_written_where_nobody_asked(machine: Machine, tmp_path: Path) -> None:
    run(machine.train("--max-steps", "2"))
    assert not list(tmp_path.rglob("*.html"))


def test_an_adapter_without_a_proof_has_no_report(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(machine.train("--max-steps", "2", "--no-proof", "--name", "mine"))
    assert run(["adapters", "report", "mine", str(tmp_path / "r.html")]) == 1
    assert "ragd-tune evaluate" in capsys.readouterr().err
