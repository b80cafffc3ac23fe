"""Embedders as ONNX graphs, written by torch.onnx and run by onnxruntime: both are real."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ragd_tune
from ragd_tune.cli import run
from ragd_tune.data import write
from ragd_tune.errors import StoreError, TuneError, UsageError
from ragd_tune.export import onnx
from ragd_tune.models import files_digest, fingerprint, remember, space_id
from ragd_tune.options import CONTRASTIVE, LORA, RUN
from ragd_tune.plan import BaseModel, Event, TrainPlan
from ragd_tune.registry import discover
from ragd_tune.serve import Embedder
from ragd_tune.serve.onnx import MARK, read
from ragd_tune.store import Manifest, Store
from ragd_tune.testing import contrastive_rows
from ragd_tune.testing.samples import tiny_data
from ragd_tune.testing.tiny import tiny_encoder

TEXTS = ["anchor apple arrow", "beach", "", "lemon letter " * 40]
EXPORT = "ragd_tune_cpu.graph._export"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a data set, and a store with one tiny LoRA adapter, ``mine``."""
    folder = tmp_path_factory.mktemp("onnx")
    write(tiny_data(), folder / "data")
    path, store = tiny_encoder(folder / "tiny"), Store(folder / "home")
    base = BaseModel(name="tiny", path=path, fingerprint=fingerprint(path))
    remember(store.root, base)
    options = {option.name: option.default for option in (*RUN, *CONTRASTIVE, *LORA)}
    options |= {"max_steps": 3, "batch_size": 4, "learning_rate": 1e-2, "max_length": 32}
    rows = contrastive_rows()
    plan = TrainPlan(
        kind="bi-encoder", objective="contrastive", tuning="lora", side="both", backend="cpu",
        device="cpu", base=base, data_fingerprint="d", rows_fingerprint=rows.fingerprint,
        options=options, out=folder / "run" / "out",
    )  # fmt: skip
    call: Any = discover().call
    facts = (made := call("cpu", "ragd_tune_train", plan=plan, rows=rows, emit=_ignore)).facts
    draft = store.draft()
    shutil.copytree(plan.out, draft, dirs_exist_ok=True)
    manifest = Manifest.build(
        draft, kind="bi-encoder", objective="contrastive", tuning="lora", side="both",
        format=made.format, base={"name": "tiny", "fingerprint": base.fingerprint},
        dimension=facts.dimension, dimensions=facts.dimensions, max_length=facts.max_length,
        prompts=dict(facts.prompts), pooling=facts.pooling, normalise=facts.normalise,
        space=space_id(facts, encoder=files_digest(draft, base.fingerprint)),
    )  # fmt: skip
    store.commit(draft, manifest, names=["mine"])
    return folder


def copying(export: Path) -> Callable[..., object]:
    """Return what stands for writing the graph: a copy of the one in ``export``."""
    return lambda model, path, facts: shutil.copy(export / "model.onnx", path)


def both(export: Path) -> tuple[Embedder, Embedder]:
    """Return an export and its adapter, loaded."""
    return ragd_tune.load(export, slot="embedder"), ragd_tune.load("mine", slot="embedder")


def _ignore(event: Event) -> None:
    """Observe nothing."""


@pytest.fixture(autouse=True)
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(home / "home"))
    return Store(home / "home")


@pytest.fixture(scope="module")
def exported(home: Path) -> dict[str, Path]:
    """Return one export of each precision; both of one graph, which takes seconds to write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGD_TUNE_HOME", str(home / "home"))
        for form in ("fp32", "int8"):
            out = home / form
            more = ("--precision", form, "--sample", str(home / "data"))
            assert run(["adapters", "export", "mine", str(out), "--format", "onnx", *more]) == 0
            patch.setattr(EXPORT, copying(home / "fp32"))
    return {form: home / form for form in ("fp32", "int8")}


def test_a_float32_graph_gives_the_vectors_of_its_adapter_in_the_adapters_space(
    exported: dict[str, Path],
) -> None:
    graph, adapter = both(exported["fp32"])
    for one, two in (
        (graph.embed_documents(TEXTS), adapter.embed_documents(TEXTS)),
        (graph.embed_queries(TEXTS), adapter.embed_queries(TEXTS)),
    ):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert graph.space == adapter.space
    assert graph.id != adapter.id


def test_int8_vectors_are_near_and_lie_in_a_space_of_their_own(exported: dict[str, Path]) -> None:
    graph, adapter = both(exported["int8"])
    vectors = graph.embed_documents(TEXTS)
    assert vectors.dtype == np.float32
    near = (vectors * np.asarray(adapter.embed(TEXTS))).sum(1)
    assert 0.9 < near.min() < 0.999999, "int8 weights were to differ"
    assert graph.space != adapter.space
    assert read(exported["int8"]).precision == "int8"
    kept = json.loads((exported["int8"] / "agreement.json").read_text("utf-8"))
    assert kept["mean"] < 1
    assert kept["texts"] == 96


def test_vectors_can_be_cut_and_are_then_of_another_space(exported: dict[str, Path]) -> None:
    whole = ragd_tune.load(exported["fp32"], slot="embedder")
    half = ragd_tune.load(str(exported["fp32"]), slot="embedder", dimension=8)
    assert half.dimension == 8
    expected = whole.embed_documents(TEXTS)[:, :8]
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(half.embed_documents(TEXTS), expected, atol=1e-6)
    assert half.space == ragd_tune.load("mine", slot="embedder", dimension=8).space


def test_an_export_is_loaded_without_pytorch(exported: dict[str, Path]) -> None:
    code = (
        "import sys, ragd_tune; e = ragd_tune.load(sys.argv[1]); "
        "print(len(e.embed(['beach'])[0]), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(exported["int8"])]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["32", "False"]


def test_an_export_too_far_from_its_adapter_is_refused_unless_it_is_forced(
    home: Path,
    exported: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(EXPORT, copying(exported["fp32"]))
    monkeypatch.setitem(onnx.TOLERANCES, "int8", onnx.Tolerance(mean=1.0, least=1.0))
    command = ["adapters", "export", "mine", str(tmp_path / "out"), "--format", "onnx"]
    command += ["--precision", "int8", "--sample", str(home / "data")]
    assert run(command) == 1
    said = capsys.readouterr().err
    assert "too far from its adapter: cosine" in said
    assert "--force" in said
    assert list(tmp_path.iterdir()) == [], "something was left behind"
    assert run([*command, "--force"]) == 0
    assert "a space of their own" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", MARK])
def test_a_changed_file_is_refused_before_anything_is_loaded(
    exported: dict[str, Path], tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in exported["fp32"].iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / name).write_bytes(b" " + (copy / name).read_bytes()[:-9])
    with pytest.raises(StoreError):
        ragd_tune.load(copy)


def test_what_an_export_cannot_do_is_refused(exported: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="is an embedder"):
        ragd_tune.load(exported["fp32"], slot="reranker")
    with pytest.raises(UsageError, match="the processor"):
        ragd_tune.load(exported["fp32"], device="cuda")


def test_texts_to_compare_by_are_asked_for(tmp_path: Path, capsys: Any) -> None:
    out = str(tmp_path / "out")
    assert run(["adapters", "export", "mine", out, "--format", "onnx"]) == 2
    assert "--sample" in capsys.readouterr().err
    assert run(["adapters", "export", "mine", out, "--precision", "int8"]) == 2


def test_lines_of_a_text_file_are_a_sample(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("one\n\ntwo\n", encoding="utf-8")
    assert onnx.sample(lines).documents == ("one", "two")
    lines.write_text("\n", encoding="utf-8")
    with pytest.raises(TuneError, match="no text"):
        onnx.sample(lines)
