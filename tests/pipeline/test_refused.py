"""What a command says at its end can be done: it names no way that the gate has shut."""

from __future__ import annotations

import re

import pytest

from ragd_tune.cli import run
from ragd_tune.errors import DONE, NOT_PROVEN
from ragd_tune.testing.machine import Machine

IDLE = ("--max-steps", "1", "--learning-rate", "1e-7")


def commands(said: str) -> list[list[str]]:
    """Return the ragd-tune commands that stand at the ends of lines."""
    return [line.split() for line in re.findall(r":  ragd-tune (.+)$", said, re.MULTILINE)]


@pytest.fixture
def refused(machine: Machine, capsys: pytest.CaptureFixture[str]) -> str:
    """What a training says that has learned nothing."""
    assert run(machine.train(*IDLE, "--name", "idle")) == NOT_PROVEN
    return capsys.readouterr().out


def test_a_training_that_is_refused_does_not_say_use_it_but_why_and_what_now(
    refused: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    machine: Machine,
) -> None:
    assert "use it" not in refused
    assert re.search(r"^refused: (the 95% interval|no query)", refused, re.MULTILINE)
    assert "`adapters activate` takes it with --force only" in refused
    (report,) = commands(refused)
    monkeypatch.chdir(machine.home)
    assert run(report) == DONE
    assert (machine.home / report[-1]).is_file()
    assert run(["adapters", "activate", "idle"]) == NOT_PROVEN
    assert run(["adapters", "activate", "idle", "--force"]) == DONE


def test_an_evaluation_that_is_refused_says_the_same(
    refused: str, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "idle", "--data", str(machine.data)]) == NOT_PROVEN
    told = capsys.readouterr().out.splitlines()
    assert told[-3:] == refused.splitlines()[-3:]


def test_a_training_that_is_proven_names_the_command_that_lets_it_serve(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine.train("--epochs", "5")) == DONE
    said = capsys.readouterr().out
    assert "refused" not in said
    (activate,) = commands(said)
    assert run(activate) == DONE


def test_a_training_without_a_proof_sends_to_the_proof_first(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine.train("--epochs", "5", "--no-proof")) == DONE
    said = capsys.readouterr().out
    assert "adapters activate" not in said
    (evaluate,) = commands(said)
    assert run([str(machine.data) if one == "DATA" else one for one in evaluate]) == DONE
    assert "refused" not in capsys.readouterr().out
