"""Where nobody names a base, an embedder is trained from the model that ragd embeds with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragd_tune import cli
from ragd_tune.errors import NOT_INSTALLED
from ragd_tune.pipeline.host_base import base_of, host_base
from ragd_tune.testing.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine.make(tmp_path, monkeypatch)


def configure(home: Path, **embedding: object) -> Path:
    path = home / ".ragd" / "config.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"embedding": embedding}), encoding="utf-8")
    return path


def plan(machine: Machine, *more: str) -> list[str]:
    given = ["train", "bi-encoder", "--data", str(machine.data), "--backend", machine.backend]
    return [*given, "--show-plan", "--json", *more]


def test_the_plan_takes_ragds_own_embedder_and_says_where_it_is_from(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configure(tmp_path, model=str(machine.base))
    assert cli.run(plan(machine)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["plan"]["base"]["path"] == str(machine.base)
    assert told["options"]["base"]["where"] == f"{path}: embedding.model"


def test_a_flag_is_stronger_and_a_model_that_is_not_there_is_blamed_on_ragds_configuration(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configure(tmp_path, model=str(tmp_path / "gone"))
    assert cli.run(plan(machine, "--base", str(machine.base))) == 0
    capsys.readouterr()
    assert cli.run([*plan(machine)[:-2], "--offline", "--show-plan"]) == NOT_INSTALLED
    said = capsys.readouterr().err
    assert f"{path}: embedding.model names the base" in said
    assert "--base all-MiniLM-L6-v2" in said


def test_the_base_of_the_adapter_that_ragd_uses_is_meant(bench: Any) -> None:
    entry = bench.train("mine")
    configure(bench.home, model=str(bench.store.view_dir(entry.id)))
    found = host_base(bench.store)
    assert found is not None
    assert found[0] == "fake-base"
    configure(bench.home, model=str(bench.store.view_dir("0" * 64)))
    assert host_base(bench.store) is None


def test_without_ragd_or_with_an_adapter_named_by_hand_the_usual_base_is_taken(bench: Any) -> None:
    assert base_of(bench.store, None) == "all-MiniLM-L6-v2"
    assert base_of(bench.store, "other") == "other"
    configure(bench.home, model="here", adapter_path="mine")
    assert base_of(bench.store, None) == "all-MiniLM-L6-v2"
    configure(bench.home, model="here")
    assert base_of(bench.store, None) == "here"
    configure(bench.home, model="custom", custom_model_path=str(bench.base))
    assert base_of(bench.store, None) == str(bench.base)


def test_a_reranker_does_not_take_ragds_embedder(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(tmp_path, model=str(tmp_path / "gone"))
    given = ["train", "cross-encoder", "--data", str(machine.data), "--offline", "--show-plan"]
    cli.run([*given, "--negatives-from", "bm25"])
    assert "embedding.model" not in capsys.readouterr().err
