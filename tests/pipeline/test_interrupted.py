"""Ctrl-C, kill -9 and a dead parent: what was paid for is kept, and the way on is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragd_tune.cli import run
from ragd_tune.store import Store
from ragd_tune.testing.machine import Machine
from ragd_tune.training import checkpoints

posix = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
LONG = ("--max-steps", "100000", "--checkpoint-steps", "10", "--no-proof")


@contextmanager
def started(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """Start a training that will not end by itself, and wait for its first checkpoint."""
    command = [sys.executable, "-m", "ragd_tune", *machine.train(*LONG)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not has_checkpoint(machine):
                assert process.poll() is None
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def events(machine: Machine) -> Path:
    return next(iter(machine.home.glob("runs/*/events.jsonl")), Path("none"))


def has_checkpoint(machine: Machine) -> bool:
    path = events(machine)
    return path.is_file() and '"checkpoint"' in path.read_text()


def worker_of(machine: Machine) -> int:
    """Return the worker's process id: its command line names the run's folder."""
    run_folder = str(events(machine).parent)
    listed = subprocess.run(
        ["ps", "-e", "-ww", "-o", "pid,args"], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        if "ragd_tune.worker" in line and run_folder in line:
            return int(line.split()[0])
    raise AssertionError("no worker is running")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_polite_kill_keep_a_checkpoint_and_tell_how_to_go_on(
    machine: Machine, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(machine) as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "a checkpoint of step" in err
    assert "--resume" in err
    assert "Traceback" not in err
    assert Store().list() == []
    assert run(machine.train(*LONG)) == 2
    assert "add --resume to go on, or --fresh to start again" in capsys.readouterr().err


@posix
def test_the_end_of_a_resumed_run_is_that_of_an_undisturbed_one(machine: Machine) -> None:
    few = ("--max-steps", "400", "--checkpoint-steps", "10", "--no-proof")
    assert run(machine.train(*few, "--name", "undisturbed")) == 0
    command = [sys.executable, "-m", "ragd_tune", *machine.train(*few, "--seed", "0")]
    for _ in range(3):
        process = subprocess.Popen(
            [*command, *(["--resume"] if has_kept(machine) else ["--fresh"])]
        )
        path = events(machine)
        size = path.stat().st_size if path.is_file() else 0
        while process.poll() is None and (not path.is_file() or path.stat().st_size <= size + 2000):
            path = events(machine)
            time.sleep(0.01)
        process.kill()
        process.wait()
        wait_for_silence(machine)
    rest = ["--resume"] if has_kept(machine) else ["--fresh"]
    assert run(machine.train(*few, "--name", "disturbed", *rest)) == 0
    assert Store().get("disturbed").id == Store().get("undisturbed").id


def has_kept(machine: Machine) -> bool:
    return any(machine.home.glob("runs/*/checkpoints/*"))


def wait_for_silence(machine: Machine) -> None:
    """A worker whose parent died ends by itself: wait for the lock of its run."""
    for _ in range(500):
        try:
            worker_of(machine)
        except AssertionError:
            return
        time.sleep(0.02)
    raise AssertionError("the worker outlived its parent")


@posix
def test_a_worker_whose_parent_dies_keeps_a_checkpoint_and_ends(machine: Machine) -> None:
    with started(machine) as process:
        process.kill()
    wait_for_silence(machine)
    assert has_kept(machine)


@posix
def test_a_worker_that_is_killed_is_reported_with_its_log_and_the_way_on(
    machine: Machine,
) -> None:
    with started(machine) as process:
        os.kill(worker_of(machine), signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "killed by signal 9" in err
    assert "worker.log" in err
    assert "--resume" in err


@posix
def test_the_same_plan_is_not_trained_twice_at_once(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(machine) as process:
        assert run(machine.train(*LONG, "--resume")) == 1
        assert "another process is training this very plan" in capsys.readouterr().err
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_resuming_nothing_is_an_error_that_says_what_must_be_equal(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine.train("--resume")) == 2
    assert "nothing to resume" in capsys.readouterr().err


def test_a_run_that_was_killed_before_its_first_checkpoint_is_begun_again(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("--max-steps", "3", "--no-proof")
    assert run(machine.train(*few)) == 0
    left = events(machine).parent / "checkpoints" / checkpoints.SCHEDULE
    for command, code in ((few, 0), ((*few, "--resume"), 2)):
        checkpoints.put(left, {"plan": "of the killed run", "steps": 3})
        assert run(machine.train(*command)) == code
    assert "nothing to resume" in capsys.readouterr().err


@posix
def test_a_resumed_run_that_is_killed_at_once_still_knows_what_was_kept(machine: Machine) -> None:
    with started(machine) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    command = [sys.executable, "-m", "ragd_tune", *machine.train(*LONG, "--resume")]
    before = events(machine).read_text().count('"start"')
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while events(machine).read_text().count('"start"') == before:
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(worker_of(machine), signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert "a checkpoint of step" in err
    assert "--resume" in err
