"""Vectors trained to be cut keep their worth: the claim about Matryoshka, on real data.

``tox -e proof -- tests/proof/test_matryoshka.py``; ten minutes or so on two cores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.cli import run

FULL, QUARTER = 384, 96
DIMS = "384,256,128,96,64,32"


@pytest.mark.proof
def test_a_quarter_of_the_dimensions_keeps_97_percent_and_the_whole_loses_nothing(
    shared_data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    plain, nested = (
        _trained(shared_data("nl2bash"), capsys, *more)
        for more in ((), ("--matryoshka-dims", DIMS))
    )
    assert nested["proof"]["kept"][str(QUARTER)] >= 0.97
    assert abs(nested["adapter"] - plain["adapter"]) <= 0.005


def _trained(data: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    run(["train", "bi-encoder", "--data", str(data), "--no-forgetting", "--json", *more])
    return json.loads(capsys.readouterr().out)
