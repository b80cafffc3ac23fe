"""A query adapter from one command to vectors, on the real backend and a tiny base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ragd_tune
from ragd_tune.cli import run, train
from ragd_tune.data import write
from ragd_tune.serve import load_base
from ragd_tune.store import Store
from ragd_tune.testing.samples import translated_data
from ragd_tune.testing.tiny import tiny_encoder


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path))
    train._registry.cache_clear()
    data = write(translated_data(queries=240), tmp_path / "data")
    base = tiny_encoder(tmp_path / "base")
    given = ("--data", str(data), "--base", str(base), "--backend", "cpu", "--side", "query")
    return ["train", "bi-encoder", *given, "--mine", "no", "--max-length", "32"]


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("tuning", ["lora", "map"])
def test_a_query_adapter_trains_proves_and_loads(
    command: list[str], capsys: pytest.CaptureFixture[str], tuning: str
) -> None:
    more = ("--tuning", tuning, "--max-steps", "12", "--learning-rate", "0.003")
    code = run([*command, *more, "--name", "asks", "--no-forgetting", "--json"])
    summary = told(capsys)
    assert code == (0 if summary["passed"] else 3)
    assert summary["side"] == summary["proof"]["side"] == "query"
    assert "it serves known documents" in summary["proof"]["sentence"]
    manifest = Store().get("asks").manifest
    assert (manifest.side, manifest.tuning) == ("query", tuning)
    base_name = command[command.index("--base") + 1]
    with ragd_tune.load("asks", slot="embedder") as tuned, load_base(base_name) as base:
        assert tuned.space == base.space
        texts = ["castle chair", "garden lamp"]
        documents, plain = tuned.embed_documents(texts), base.embed_documents(texts)
        np.testing.assert_allclose(documents, plain, rtol=0, atol=1e-6)
        assert np.abs(tuned.embed_queries(texts) - base.embed_queries(texts)).max() > 1e-4


def test_without_a_proof_it_still_says_what_it_serves(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--tuning", "map", "--max-steps", "1", "--no-proof"]) == 0
    assert "it serves known documents" in capsys.readouterr().out


def test_a_prompt_of_documents_that_stay_as_they_are_is_refused(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--document-prompt", "text: "]) == 2
    assert "--document-prompt: has no effect" in capsys.readouterr().err


def test_a_map_of_both_sides_is_refused_with_the_side_that_it_has(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    both = [one if one != "query" else "both" for one in command]
    assert run([*both, "--tuning", "map"]) == 4
    assert "add --side query" in capsys.readouterr().err
