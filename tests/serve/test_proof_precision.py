"""Both sides of a proof compute in the same, and the proof says in what."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.cli import run
from ragd_tune.data import write
from ragd_tune.models import fingerprint, remember
from ragd_tune.pipeline.reporting import story
from ragd_tune.plan import BaseModel
from ragd_tune.registry import Registry, discover
from ragd_tune.report import write as write_report
from ragd_tune.testing.samples import tiny_data
from ragd_tune.testing.tiny import tiny_encoder

Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Note the format and the precision of every model that is loaded; bfloat16 is fast here."""
    noted: list[tuple[str, str]] = []
    plain = Registry.call

    def call(self: Registry, backend: str, hook: str, **given: Any) -> Any:
        answer = plain(self, backend, hook, **given)
        if hook == "ragd_tune_load_adapter":
            noted.append((given["request"].format, answer.precision))
        return answer

    monkeypatch.setattr(Registry, "call", call)
    monkeypatch.setattr("ragd_tune_cpu.encoder.has_fast_bf16", lambda device: True)
    return noted


@pytest.fixture
def evaluate(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Evaluate:
    """Return what ``ragd-tune evaluate --json`` says of a tiny adapter of the cpu backend."""
    path = tiny_encoder(tmp_path / "tiny")
    base = BaseModel(name="tiny", path=path, fingerprint=fingerprint(path))
    remember(shop.store.root, base)
    replace(shop, registry=discover(), base=base, backend="cpu").train("mine", max_length=32)
    data = write(tiny_data(), tmp_path / "data")
    monkeypatch.setenv("RAGD_TUNE_HOME", str(shop.store.root))

    def asked(*more: str) -> dict[str, Any]:
        run(["evaluate", "mine", "--data", str(data), "--device", "cpu", "--json", *more])
        said = capsys.readouterr()
        found: dict[str, Any] = json.loads(said.out) if said.out else {"error": said.err}
        return found

    return asked


def test_both_sides_compute_in_bfloat16_where_it_is_fast_and_every_record_says_so(
    evaluate: Evaluate, loaded: list[tuple[str, str]], shop: Any, tmp_path: Path
) -> None:
    told = evaluate()
    assert sorted(loaded) == [("base", "bf16"), ("peft", "bf16")]
    assert told["precision"] == told["proof"]["precision"] == "bf16"
    assert shop.store.records(told["id"], "proof")[-1].payload["precision"] == "bf16"
    page = write_report(story(shop.store, "mine"), tmp_path / "page.html").read_text("utf-8")
    assert "bfloat16" in page


def test_float32_is_computed_where_it_is_asked_for(
    evaluate: Evaluate, loaded: list[tuple[str, str]]
) -> None:
    told = evaluate("--proof-precision", "fp32")
    assert sorted(loaded) == [("base", "fp32"), ("peft", "fp32")]
    assert told["precision"] == "fp32"


def test_vectors_of_one_precision_are_not_taken_for_those_of_another(
    evaluate: Evaluate, loaded: list[tuple[str, str]]
) -> None:
    evaluate()
    evaluate("--proof-precision", "fp32")
    assert ("base", "fp32") in loaded, "the base's kept vectors were those of bfloat16"
    loaded.clear()
    evaluate()
    assert loaded == [("peft", "bf16")], "the base was loaded though its vectors are kept"


def test_a_backend_that_computes_the_two_sides_differently_is_refused(
    evaluate: Evaluate, loaded: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragd_tune_cpu import encoder

    plain = encoder.halved
    monkeypatch.setattr(
        encoder, "halved", lambda model, asked: plain(model, asked) if asked.adapter else "fp32"
    )
    assert "--proof-precision fp32" in evaluate()["error"]


def test_the_report_of_an_older_proof_counts_as_float32(evaluate: Evaluate) -> None:
    from ragd_tune.evaluate import Report

    raw = evaluate("--proof-precision", "fp32")["proof"]
    del raw["precision"]
    assert Report.from_json(raw).precision == "fp32"
