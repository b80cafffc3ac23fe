"""The whole way on real documents with the real base: minutes, so `tox -e proof` runs it."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from ragd_tune import cli
from ragd_tune.errors import DONE, NOT_PROVEN
from ragd_tune.evaluate.significance import paired
from ragd_tune.store import Store

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(sysconfig.get_path("stdlib"))
PACKAGES = ("asyncio", "concurrent", "email", "http", "importlib", "json", "logging", "unittest")
"""A part of the library: all of it holds what is installed beside it, too."""


@pytest.mark.proof
@pytest.mark.parametrize(
    "documents",
    [[ROOT / "docs"], [LIBRARY / name for name in PACKAGES]],
    ids=["our pages", "the library"],
)
def test_real_documents_end_in_a_verdict_that_can_be_worked_out_again(
    documents: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    nowhere = ["--endpoint", "http://127.0.0.1:9/v1"]
    code = cli.run(
        ["auto", *map(str, documents), "--offline", *nowhere, "--minutes", "5", "--json"]
    )
    done = json.loads(capsys.readouterr().out)
    proof = done["proof"]
    gains = np.array([row["after"] - row["before"] for row in proof["queries"]])
    clusters = [row["cluster"] for row in proof["queries"]]
    again = paired(gains, clusters, seed=proof["seed"])
    assert code in (DONE, NOT_PROVEN)
    assert again.proven == done["passed"] == (code == DONE) == done["activated"]
    active = Store(tmp_path / "home").active("embedder")
    assert (active is not None) == done["activated"]
