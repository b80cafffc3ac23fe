from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from ragd_tune.evaluate import Scores, compare

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gate_calibration.py"


def test_the_benchmark_reads_a_real_runs_scores_and_finds_the_gate_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    ids = tuple(f"q{i}" for i in range(120))
    sides = [Scores(query_ids=ids, values={"ndcg@10": rng.random(120)}) for _ in range(2)]
    groups = {query: str(i // 3) for i, query in enumerate(ids)}
    path = tmp_path / "run.json"
    report = compare(*sides, gate_metric="ndcg@10", clusters=groups, known=(), resamples=400)
    path.write_text(json.dumps({"proof": report.to_json()}), "utf-8")
    monkeypatch.setattr(
        "sys.argv", [str(BENCHMARK), "--differences", str(path), "--resamples", "400"]
    )
    runpy.run_path(str(BENCHMARK), run_name="__main__")
    last = capsys.readouterr().out.splitlines()[-1]
    assert "run.json: 120 queries, effective clusters 40" in last
    assert float(last.split()[-1]) <= 4.0
