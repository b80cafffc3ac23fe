"""Adapters out of the store and into it, in the formats of others, by the commands."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from ragd_tune.cli.adapters import adapters
from ragd_tune.errors import RefusedAdapterError, TuneError, UsageError
from ragd_tune.interchange import mlx, peft
from ragd_tune.interchange.lora import Lora, Part
from ragd_tune.pipeline import crossing
from ragd_tune.registry import discover
from ragd_tune.serve.load import load
from ragd_tune.store import Manifest, Store
from ragd_tune.testing.tiny import HIDDEN, tiny_encoder

TEXTS = ["anchor apple arrow", "beach bell", "lemon letter " * 40]
QUERY = "encoder.layer.0.attention.self.query"
VALUE = "encoder.layer.1.attention.self.value"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    return Store()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_encoder(tmp_path / "base")


def adapter(**changes: Any) -> Lora:
    draw = np.random.default_rng(0)
    parts = {
        name: Part(
            a=draw.normal(size=(rank, HIDDEN)).astype(np.float32),
            b=draw.normal(size=(HIDDEN, rank)).astype(np.float32) * 0.1,
            scale=scale,
        )
        for name, rank, scale in ((QUERY, 2, 2.0), (VALUE, 3, 0.5))
    }
    return replace(Lora(parts=parts, task="FEATURE_EXTRACTION"), **changes)


def run(*words: object) -> Any:
    return CliRunner().invoke(adapters, [str(word) for word in words], standalone_mode=False)


def vectors(store: Store, name: str) -> Any:
    with load(name, slot="embedder", home=store.root, backend="cpu") as embedder:
        return embedder.embed_documents(TEXTS)


def test_a_folder_comes_in_goes_out_and_comes_back_with_the_same_vectors(
    store: Store, base: Path, tmp_path: Path
) -> None:
    peft.write(adapter(), tmp_path / "foreign")
    registry = discover()
    first = crossing.import_folder(
        store, registry, tmp_path / "foreign", format="peft", base=str(base), name="first"
    )
    assert (first.kind, first.manifest.tuning, first.manifest.format) == (
        "bi-encoder",
        "lora",
        "peft",
    )
    assert first.manifest.space
    expected = vectors(store, "first")
    for format_ in ("peft", "mlx"):
        out = tmp_path / format_
        crossing.export_folder(store, "first", out, format=format_)
        assert crossing.format_of(out) == format_
        crossing.import_folder(
            store, registry, out, format=format_, base=str(base), kind="bi-encoder", name=format_
        )
        assert np.abs(vectors(store, format_) - expected).max() <= 1e-5
    assert store.records(first.id, "imported")[0].payload == {"format": "peft"}
    assert store.records(first.id, "proof") == []


def test_what_an_exported_folder_was_trained_on_is_told(
    store: Store, base: Path, tmp_path: Path
) -> None:
    peft.write(adapter(), tmp_path / "foreign")
    crossing.import_folder(
        store, discover(), tmp_path / "foreign", format="peft", base=str(base), name="first"
    )
    for format_, key, file in (
        ("peft", "base_model_name_or_path", peft.CONFIG),
        ("mlx", "model", mlx.CONFIG),
    ):
        crossing.export_folder(store, "first", tmp_path / format_, format=format_)
        told = json.loads((tmp_path / format_ / file).read_text(encoding="utf-8"))
        assert told[key] == base.name
        assert str(tmp_path) not in json.dumps(told)


def test_a_folder_is_not_overwritten(store: Store, base: Path, tmp_path: Path) -> None:
    peft.write(adapter(), tmp_path / "foreign")
    crossing.import_folder(
        store, discover(), tmp_path / "foreign", format="peft", base=str(base), name="first"
    )
    with pytest.raises(UsageError, match="is there already"):
        crossing.export_folder(store, "first", tmp_path / "foreign", format="mlx")


@pytest.mark.parametrize(
    ("format_", "told"),
    [
        ("full", r"a whole model, which the libraries load: .*adapters"),
        ("map", r"a matrix for queries' vectors, which ragd-tune alone reads: .* export mine FILE"),
        ("foreign", r"its own format, which ragd-tune alone reads: .* export mine FILE"),
    ],
)
def test_what_is_not_of_low_rank_stays_and_what_it_is_is_told(
    store: Store, tmp_path: Path, format_: str, told: str
) -> None:
    draft = store.draft()
    save_file({"map": np.eye(4, dtype=np.float32)}, draft / "map.safetensors")
    manifest = Manifest.build(
        draft,
        kind="bi-encoder",
        objective="contrastive",
        tuning="map",
        format=format_,
        base={"name": "base", "fingerprint": "f" * 64},
        dimension=4,
        max_length=8,
    )
    store.commit(draft, manifest, names=["mine"])
    with pytest.raises(UsageError, match=f"format {format_}, and only LoRA") as refused:
        crossing.export_folder(store, "mine", tmp_path / "out", format="peft")
    assert re.search(told, refused.value.mend)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"base": None}, UsageError, "does not say what it was trained on"),
        ({"task": None}, UsageError, "does not say what kind of model"),
        ({"other": True}, TuneError, "does not fit this base"),
        ({"classifier": True}, RefusedAdapterError, "modules_to_save"),
    ],
)
def test_what_is_not_said_or_does_not_fit_is_refused_and_leaves_nothing(
    store: Store,
    base: Path,
    tmp_path: Path,
    given: dict[str, Any],
    error: type[Exception],
    told: str,
) -> None:
    made = adapter()
    if given.get("other"):
        made = replace(made, parts={"encoder.layer.7.output.dense": made.parts[QUERY]})
    if "task" in given:
        made = replace(made, task=None)
    folder = tmp_path / "foreign"
    peft.write(made, folder)
    if given.get("classifier"):
        raw = json.loads((folder / peft.CONFIG).read_text(encoding="utf-8"))
        raw["modules_to_save"] = ["classifier"]
        (folder / peft.CONFIG).write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(error, match=told):
        crossing.import_folder(
            store,
            discover(),
            folder,
            format="peft",
            base=given.get("base", str(base)),
        )
    assert store.list() == []


def test_the_commands_do_it(store: Store, base: Path, tmp_path: Path) -> None:
    mlx.write(adapter(), tmp_path / "foreign")
    done = run(
        *("import", tmp_path / "foreign", "--base", base, "--kind", "bi-encoder"),
        *("--name", "mine"),
    )
    assert done.exception is None, done.output
    done = run("export", "mine", tmp_path / "out", "--format", "peft")
    assert done.exception is None, done.output
    assert peft.WEIGHTS in done.output
    found = peft.read(tmp_path / "out")
    assert found.parts.keys() == adapter().parts.keys()
