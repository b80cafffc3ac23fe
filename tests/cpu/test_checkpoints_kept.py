from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.plan import Event, Stop
from ragd_tune.testing.bench import snapshot
from ragd_tune.training import checkpoints
from ragd_tune_cpu.trainer import STATE


def stop_after(step: int) -> Any:
    def emit(event: Event) -> None:
        if event.type == "step" and event.step == step:
            raise Stop

    return emit


def folders(plan: Any) -> list[str]:
    return sorted(path.name for path in checkpoints.folder_of(plan).iterdir() if path.is_dir())


def test_the_last_two_are_kept(lab: Any) -> None:
    plan = lab.plan(lab.base(), checkpoint_steps=1)
    lab.train(plan)
    assert folders(plan) == ["step-00000004", "step-00000005"]
    told = [event.step for event in lab.events if event.type == "checkpoint"]
    assert told == [1, 2, 3, 4, 5]


def test_minutes_between_checkpoints_of_zero_keep_one_each_step(lab: Any) -> None:
    plan = lab.plan(lab.base(), checkpoint_minutes=0.0, max_steps=3)
    lab.train(plan)
    assert folders(plan) == ["step-00000001", "step-00000002"]


def test_a_checkpoint_without_its_marker_is_not_there(lab: Any) -> None:
    plan = lab.plan(lab.base(), checkpoint_steps=1)
    with pytest.raises(Stop):
        lab.train(plan, stop_after(4))
    (checkpoints.folder_of(plan) / "step-00000004" / checkpoints.MARKER).unlink()
    progress = checkpoints.last(plan, lambda folder: None)
    assert progress is not None
    assert progress.step == 3


def test_a_folder_that_a_kill_left_half_written_is_passed_over_and_cleared(lab: Any) -> None:
    plan = lab.plan(lab.base(), checkpoint_steps=2)
    with pytest.raises(Stop):
        lab.train(plan, stop_after(2))
    home = checkpoints.folder_of(plan)
    shutil.copytree(home / "step-00000002", home / "part-00000003")
    (home / "step-00000005").mkdir()
    (home / "step-00000005" / STATE).write_bytes(b"half of it")
    assert lab.train(plan).resumed_from == 2
    assert folders(plan) == ["step-00000002", "step-00000004"]


def test_a_checkpoint_of_another_plan_is_not_resumed_from(lab: Any) -> None:
    plan = lab.plan(lab.base())
    with pytest.raises(Stop):
        lab.train(plan, stop_after(3))
    other = replace(plan, options={**plan.options, "seed": 7})
    assert lab.train(other).resumed_from == 0


def test_a_checkpoint_with_a_flipped_bit_is_passed_over_for_the_one_before(lab: Any) -> None:
    plan = lab.plan(lab.base(), checkpoint_steps=1)
    with pytest.raises(Stop):
        lab.train(plan, stop_after(4))
    path = checkpoints.folder_of(plan) / "step-00000004" / STATE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    progress = checkpoints.last(plan, lambda folder: None)
    assert progress is not None
    assert progress.step == 3


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from ragd_tune.plan import TrainPlan
    from ragd_tune.registry import discover
    from ragd_tune.testing import contrastive_rows
    import json
    from ragd_tune.training import checkpoints

    plan = TrainPlan.from_json(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    point, writes = sys.argv[2], 0

    def die(name):
        original = getattr(checkpoints, name)
        def call(*arguments):
            global writes
            writes += 1
            if writes > 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)
        setattr(checkpoints, name, call)

    die(point)
    discover().call(
        "cpu", "ragd_tune_train", plan=plan, rows=contrastive_rows(), emit=lambda event: None
    )
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
@pytest.mark.parametrize("point", ["_to_disk", "_sync_folder", "_marker", "_forget", "put"])
def test_a_kill_in_the_middle_of_a_checkpoint_loses_that_one_alone(
    lab: Any, point: str, tmp_path: Path
) -> None:
    import json

    base = lab.base()
    whole, killed = (lab.plan(base, checkpoint_steps=1, dropout=0.1) for _ in range(2))
    lab.train(whole)
    (tmp_path / "plan.json").write_text(json.dumps(killed.to_json()), encoding="utf-8")
    (tmp_path / "kill.py").write_text(textwrap.dedent(KILLED), encoding="utf-8")
    command = [sys.executable, str(tmp_path / "kill.py"), str(tmp_path / "plan.json"), point]
    ended = subprocess.run(command, check=False)
    assert ended.returncode == -signal.SIGKILL
    resumed = lab.train(killed)
    assert resumed.resumed_from >= 1
    assert snapshot(killed.out) == snapshot(whole.out)
