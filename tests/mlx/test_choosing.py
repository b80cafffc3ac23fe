"""Where MLX comes first, as on a Mac, a base that it does not compute goes to who does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragd_tune.cli import run
from ragd_tune.data import write
from ragd_tune.errors import NoBackendError
from ragd_tune.models import resolve
from ragd_tune.registry import discover
from ragd_tune.serve import load_base, open_model
from ragd_tune.testing.samples import translated_data
from ragd_tune.testing.tiny import tiny_encoder
from ragd_tune_mlx import detect


@pytest.fixture(autouse=True)
def first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Prefer MLX, as on Apple silicon."""
    monkeypatch.setattr(detect, "ON_LINUX", detect.ON_APPLE)
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))


def test_a_base_is_served_by_the_best_backend_that_computes_it(tmp_path: Path) -> None:
    chosen = {}
    for architecture in ("bert", "mpnet"):
        base = resolve(str(tiny_encoder(tmp_path, architecture)))
        with open_model(discover(), objective="contrastive", format="base", base=base) as model:
            model.embed(["garden"], "document")
            chosen[architecture] = model.backend
    assert chosen == {"bert": "mlx", "mpnet": "cpu"}


def test_asked_for_by_name_it_refuses_before_it_loads_and_names_who_computes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = str(tiny_encoder(tmp_path, "mpnet"))
    with pytest.raises(NoBackendError, match="does not compute the architecture mpnet") as no:
        load_base(base, backend="mlx")
    assert no.value.mend == "the backend cpu does: --backend cpu"
    monkeypatch.setenv("RAGD_TUNE_DISABLE", "cpu,unsloth")
    with pytest.raises(NoBackendError, match="does not compute the architecture mpnet") as no:
        load_base(base, registry=discover())
    assert no.value.mend == 'pip install "ragd-tune[cpu]"'


def test_training_is_planned_for_who_computes_the_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(translated_data(queries=40), tmp_path / "data")
    base = tiny_encoder(tmp_path, "mpnet")
    asked = ["train", "bi-encoder", "--data", str(tmp_path / "data"), "--base", str(base)]
    asked += ["--mine", "no", "--show-plan", "--json"]
    assert run([*asked, "--backend", "mlx"]) == 4
    assert "does not compute the architecture mpnet" in capsys.readouterr().err
    assert run(asked) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["backend"] == "cpu"
