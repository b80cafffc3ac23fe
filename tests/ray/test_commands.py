from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.generate.conftest import TOPICS, page
from tests.generate.scripted import serving
from tests.ray.conftest import Machines

from ragd_tune import cli
from ragd_tune.data import write
from ragd_tune.data.mine import work
from ragd_tune.errors import DONE
from ragd_tune.testing.machine import Machine
from ragd_tune.testing.samples import tiny_data

# What Ray warns of in itself is not ours to judge.
pytestmark = pytest.mark.filterwarnings("ignore")


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Do something while the block works; what goes wrong in it fails the test."""
    failed: list[Exception] = []

    def run() -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the test is told below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert not failed, failed


def assert_same(one: Path, other: Path) -> None:
    names = sorted(str(path.relative_to(one)) for path in one.rglob("*.*"))
    assert names == sorted(str(path.relative_to(other)) for path in other.rglob("*.*"))
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_a_mining_whose_worker_is_killed_ends_like_one_on_a_single_machine(
    machines: Machines, victim: Any, machine: Machine, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("ragd_tune.data.mine.dense.BLOCK", 4)
    monkeypatch.setattr("ragd_tune.data.mine.spread.SHARD", 30)
    monkeypatch.setattr(work, "EMBEDDED", 16)
    write(tiny_data(queries=80), tmp_path / "asked")

    def mined(name: str, *more: str) -> Path:
        given = ["data", "mine", str(tmp_path / "asked"), str(tmp_path / name)]
        base = ["--base", str(machine.base), "--offline", *more]
        monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / f"home of {name}"))
        assert cli.run([*given, *base]) == DONE
        return tmp_path / name

    with meanwhile(lambda: machines.kill_at_work(victim)):
        spread = mined("spread", "--ray", machines.address)
    assert_same(mined("alone"), spread)


def test_questions_of_a_cluster_whose_worker_is_killed_are_those_of_one_machine(
    machines: Machines, victim: Any, machine: Machine, tmp_path: Path, monkeypatch: Any
) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, words in TOPICS.items():
        (folder / f"{name}.md").write_text(page(name, words), encoding="utf-8")
    with serving(faults=("slow",)) as server:
        server.release.set()

        def made(name: str, *more: str) -> Path:
            given = ["data", "generate", str(folder), "--out", str(tmp_path / name), "--offline"]
            base = ["--without", "round-trip", "--base", str(machine.base), *more]
            monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / f"home of {name}"))
            assert cli.run([*given, "--endpoint", server.url, *base]) == DONE
            return tmp_path / name

        alone = made("alone")
        asked = len(server.bodies)
        with meanwhile(lambda: machines.kill_at_work(victim)):
            spread = made("spread", "--ray", machines.address, "--workers", "2")
        again = len(server.bodies) - asked
    assert_same(alone, spread)
    assert asked <= again <= asked + 8, "a worker's requests in flight are asked again, and no more"
