from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from ragd_tune.testing.machine import Machine

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "false_alarms.py"


@pytest.mark.slow
def test_the_benchmark_runs_whole_trainings_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine.make(tmp_path, monkeypatch)
    out = tmp_path / "out.json"
    monkeypatch.setattr(
        "sys.argv",
        [str(BENCHMARK), str(machine.data), "--out", str(out), "--work", str(tmp_path / "work"),
         "--seeds", "1", "--tries", "2", "--", "--base", str(machine.base), "--backend", "fake",
         "--max-steps", "4"],
    )  # fmt: skip
    runpy.run_path(str(BENCHMARK), run_name="__main__")
    found = json.loads(out.read_text(encoding="utf-8"))
    assert set(found) == {"data flips", "data shuffled 0", "data luckiest of 2"}
    assert found["data flips"]["accepted"] <= 0.05
    assert found["data luckiest of 2"]["best"] in {"try0", "try1"}
    last = capsys.readouterr().out
    assert '"null runs": 2' in last
    before = out.read_bytes()
    runpy.run_path(str(BENCHMARK), run_name="__main__")
    assert out.read_bytes() == before
