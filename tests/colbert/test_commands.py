"""``ragd-tune colbert``, through the commands, on a tiny model that the cpu backend made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ragd_tune.backends import LoadRequest
from ragd_tune.cli import group
from ragd_tune.errors import DataError, StoreError, UsageError
from ragd_tune.models import fingerprint, remember
from ragd_tune.plan import BaseModel
from ragd_tune.registry import discover
from ragd_tune.store import Manifest, Store
from ragd_tune.testing.tiny import tiny_encoder

DOCUMENTS = {"a": "anchor apple arrow", "b": "beach bell bird", "c": "castle chair cheese"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the adapter ``mine``: a base's own weights, as a whole model."""
    root = tmp_path_factory.mktemp("home")
    path = tiny_encoder(tmp_path_factory.mktemp("base"), marks=True)
    base = BaseModel(name="tiny", path=path, fingerprint=fingerprint(path))
    store = Store(root)
    remember(store.root, base)
    registry = discover()
    request = LoadRequest(objective="late_interaction", format="base", base=base, device="cpu")
    model = registry.call("cpu", "ragd_tune_load_adapter", request=request)
    draft = store.draft()
    out = draft / "made"
    registry.call("cpu", "ragd_tune_export", model=model, format="folder", out=out)
    for one in out.iterdir():
        one.rename(draft / one.name)
    out.rmdir()
    facts = model.facts
    manifest = Manifest.build(
        draft, kind="colbert", objective="late_interaction", tuning="full", side="both",
        format="full", base={"name": "tiny", "fingerprint": base.fingerprint},
        dimension=facts.dimension, max_length=facts.max_length, prompts=dict(facts.prompts),
        pooling=facts.pooling, normalise=True, settings=dict(facts.settings),
    )  # fmt: skip
    store.commit(draft, manifest, names=["mine"])
    return root


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(home))

    def call(*words: object) -> Any:
        made = CliRunner().invoke(group, ["colbert", *map(str, words)], standalone_mode=False)
        if made.exception is not None:
            raise made.exception
        return made.stdout

    return call


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"_id": one, "text": text}) for one, text in DOCUMENTS.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_documents_are_put_into_the_order_of_their_scores(run: Any, corpus: Path) -> None:
    (said,) = json.loads(run("rerank", "mine", corpus, "--query", "beach bell", "--json"))
    assert said["query"] == "beach bell"
    assert {one["id"] for one in said["found"]} == set(DOCUMENTS)
    scores = [one["score"] for one in said["found"]]
    assert scores == sorted(scores, reverse=True)


def test_an_index_is_searched_as_documents_are_reranked(
    run: Any, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "index"
    assert "3 documents are in" in run("index", "mine", corpus, out)
    query = ("--query", "castle cheese", "--json")
    (found,) = json.loads(run("search", "mine", out, "-k", 2, *query))
    (ranked,) = json.loads(run("rerank", "mine", corpus, *query))
    assert [one["id"] for one in found["found"]] == [one["id"] for one in ranked["found"]][:2]
    assert found["found"][0]["score"] == pytest.approx(ranked["found"][0]["score"], abs=0.05)
    with pytest.raises(StoreError, match="holds token vectors already"):
        run("index", "mine", corpus, out)


def test_lines_of_a_text_are_documents_numbered_from_one(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("anchor\n\nbeach\n", encoding="utf-8")
    (said,) = json.loads(run("rerank", "mine", path, "--query", "beach", "--json"))
    assert {one["id"] for one in said["found"]} == {"1", "3"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "holds no documents"), ("{}\n", ":1: needs _id and text"),
     ('{"_id": "a", "text": ""}\n' * 2, ":2: the document 'a' comes twice")],
)  # fmt: skip
def test_a_file_without_sound_documents_is_refused_with_its_line(
    run: Any, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        run("rerank", "mine", path, "--query", "q")


def test_ragatouille_needs_an_interpreter_and_ours_takes_none(run: Any, corpus: Path) -> None:
    with pytest.raises(UsageError, match="interpreter of its own"):
        run("rerank", "mine", corpus, "--query", "q", "--engine", "ragatouille")
    with pytest.raises(UsageError, match="no effect with --engine own"):
        run("rerank", "mine", corpus, "--query", "q", "--python", "python")


def test_an_adapter_is_exported_as_a_model_for_other_programs(
    run: Any, home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stanford"
    words = ["adapters", "export", "mine", str(out), "--format", "stanford"]
    made = CliRunner().invoke(group, words, standalone_mode=False)
    assert made.exception is None, made.exception
    assert {"artifact.metadata", "config.json", "model.safetensors"} <= {
        one.name for one in out.iterdir()
    }
