"""Killed at any point, eight at once: the store is old or new, and always whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ragd_tune
from ragd_tune.store import Entry, Store

HERE = Path(__file__).parent
SOURCES = str(Path(ragd_tune.__file__).parents[1])
OPERATIONS = (
    "commit",
    "commit over an equal one",
    "commit over a damaged one",
    "activate",
    "activate after a torn line",
    "rollback",
    "deactivate",
    "remove",
    "import",
    "record",
    "look",
)


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    paths = os.pathsep.join([SOURCES, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> object:
    out, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(out)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_process_killed_at_any_file_operation_leaves_the_old_state_or_the_new(
    operation: str, tmp_path: Path
) -> None:
    told = finish(start("crash_driver.py", operation, tmp_path))
    assert isinstance(told, dict)
    assert told["wrong"] == {}
    assert told["changed"], "the operation changes nothing: there is nothing to be torn"
    assert told["points"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "first"),
    [
        *(("activate after a torn line", first) for first in range(1, 20, 3)),
        *(("commit over a damaged one", first) for first in range(1, 34, 3)),
    ],
)
def test_a_second_kill_while_the_first_is_being_put_right_changes_nothing(
    operation: str, first: int, tmp_path: Path
) -> None:
    told = finish(start("crash_driver.py", operation, tmp_path, first))
    assert isinstance(told, dict)
    assert told["wrong"] == {}


def test_the_environment_variable_kills_the_process_at_the_numbered_point(
    store: Store, put: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(1.0)
    for name in ("one", "two"):
        store.name("adapter-1", name)
    monkeypatch.setenv("RAGD_TUNE_FAULT", "3")
    process = start("crash_driver.py", "--once", "look", store.root)
    process.communicate()
    assert process.returncode != 0
    assert store.verify() == ()
    assert len(store.looks()) <= 1


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_eight_processes_at_once_show_only_whole_states_and_leave_a_history_without_gaps(
    seconds: int, store: Store, put: Callable[..., Entry]
) -> None:
    for value, name in enumerate(("one", "two", "three")):
        store.name(put(value, proven=True).id, name)
    processes = [start("churn.py", store.root, seconds, seed) for seed in range(8)]
    told = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    made = {number for numbers in told for number in json.loads(numbers)}
    history = store.history()
    assert made == {entry.sequence for entry in history}
    assert [entry.sequence for entry in history] == [*range(1, len(made) + 1)]
    assert len(history) >= 8
    assert [e.previous for e in history] == [None, *(entry.id for entry in history[:-1])]
    lines = (store.root / "history.jsonl").read_bytes().count(b"\n")
    assert lines == len(history), "the file itself lacks a change"
    assert store.verify() == ()
    assert [*(store.root / "tmp").iterdir()] == []
