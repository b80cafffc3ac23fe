from __future__ import annotations

import json
from typing import Any

import pytest

from ragd_tune.cli import run
from ragd_tune.testing.machine import Machine


def checked(machine: Machine, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["data", "check", str(machine.data), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["power"]
    assert isinstance(told, dict)
    return told


def test_what_a_proof_measured_replaces_what_is_assumed(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assumed = checked(machine, capsys)
    assert assumed["spread"]["source"] == ""
    run(machine.train("--epochs", "5", "--name", "mine", "--json"))
    differences = [
        one["after"] - one["before"]
        for one in json.loads(capsys.readouterr().out)["proof"]["queries"]
    ]
    mean = sum(differences) / len(differences)
    spread = (sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)) ** 0.5
    measured = checked(machine, capsys)
    assert measured["spread"]["source"] == "mine"
    assert measured["spread"]["deviation"] == pytest.approx(spread)
    assert set(measured["by_size"]) == {"100", "300", "1000"}
