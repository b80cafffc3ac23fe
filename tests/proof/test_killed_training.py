"""A training is killed at random moments; nothing that was kept is lost, nothing is half-written.

Real processes, the real PyTorch backend. CI kills a few times, ``tox -e proof`` fifty.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.cli import run
from ragd_tune.store import Store
from ragd_tune.testing.machine import Machine

# Without mined negatives a step takes a third of the time, and a kill is the same kill.
STEPS = (
    *("--max-steps", "600", "--checkpoint-steps", "5"),
    *("--learning-rate", "0.003", "--mine", "no"),
)
pytestmark = pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX's")


@pytest.mark.slow
def test_a_few_kills_cost_nothing_but_time(
    real: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_and_compare(real, capsys, kills=4)


@pytest.mark.proof
def test_fifty_kills_cost_nothing_but_time(
    real: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_and_compare(real, capsys, kills=50)


def kill_and_compare(real: Machine, capsys: pytest.CaptureFixture[str], *, kills: int) -> None:
    """Kill, look at the store, go on; the end must be that of an undisturbed run."""
    undisturbed = summary(real, capsys, "--name", "undisturbed")
    assert run(["adapters", "activate", "undisturbed", "--force"]) == 0
    draw = random.Random(0)
    resumed = 0
    for number in range(kills):
        resumed += has_kept(real)
        # Each try gets a twentieth of the training at most, so that most of them die inside it.
        start_and_kill(real, draw.uniform(0, undisturbed["seconds"] / 20), whole=number % 2 == 0)
        store = Store()
        assert store.verify() == ()
        active = store.active("embedder")
        assert active is not None
        assert active.id == undisturbed["id"]
    assert resumed
    last = summary(real, capsys, "--name", "disturbed")
    weights = "the same" if last["id"] == undisturbed["id"] else "other"
    told = f"nDCG@10 {undisturbed['adapter']:.4f} → {last['adapter']:.4f}, {weights} weights"
    sys.stderr.write(f"{kills} kills, {resumed} tries resumed: {told}\n")
    assert last["adapter"] == pytest.approx(undisturbed["adapter"], abs=0.005)
    assert Store().verify() == ()


def has_kept(real: Machine) -> bool:
    return any(real.home.glob("runs/*/checkpoints/*"))


def command(real: Machine) -> list[str]:
    return real.train(*STEPS, "--resume" if has_kept(real) else "--fresh")


def summary(real: Machine, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*command(real), "--json", *more]) in {0, 3}
    told = json.loads(capsys.readouterr().out)
    assert isinstance(told, dict)
    return told


def start_and_kill(real: Machine, after: float, *, whole: bool) -> None:
    """Kill the command, or the command and its worker at once, that long after training began."""
    arguments = [sys.executable, "-m", "ragd_tune", *command(real), "--no-proof"]
    before = starts(real) if "--resume" in arguments else 0
    with subprocess.Popen(
        arguments, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        while starts(real) <= before and process.poll() is None:
            time.sleep(0.01)
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            if whole:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
    wait_until_free(real)


def starts(real: Machine) -> int:
    """Return how often a training began in the run's folder."""
    logs = [path.read_text() for path in real.home.glob("runs/*/events.jsonl")]
    return sum(text.count('"type": "start"') for text in logs)


def wait_until_free(real: Machine) -> None:
    """A worker that outlived its parent ends after its step: wait for it."""
    for _ in range(1500):
        listed = subprocess.run(
            ["ps", "-e", "-ww", "-o", "args"], capture_output=True, text=True, check=True
        )
        mine = [line for line in listed.stdout.splitlines() if str(real.home) in line]
        if not [line for line in mine if "ragd_tune.worker" in line]:
            return
        time.sleep(0.05)
    raise AssertionError("a worker outlived its parent for more than a minute")


def test_the_run_folder_is_where_the_checkpoints_are(real: Machine) -> None:
    assert command(real)[-1] == "--fresh"
    kept = Path(real.home, "runs", "x", "checkpoints", "step-1")
    kept.mkdir(parents=True)
    assert command(real)[-1] == "--resume"
