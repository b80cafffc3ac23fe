"""The tutorial for ragd runs as it is written, with a toy model, and an index as ragd makes it.

ragd itself is not among what is tested in every run, so `ragd index` puts the documents where ragd
would, and `ragd search` is passed over. `tests/host/test_tutorial.py` follows the same page with a
real ragd and the real model.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import chromadb
import pytest
from chromadb.config import Settings
from tests.docs.following import TUTORIALS, follow
from tests.docs.test_tutorial import SETTINGS

from ragd_tune.serve import load_base
from ragd_tune.testing import fakes

LEARNS = {"RAGD_TUNE_LEARNING_RATE": "0.0003", "RAGD_TUNE_EPOCHS": "6", "RAGD_TUNE_MINE": "no"}
"""What makes the toy model learn to tell code by its description, a little."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder; ragd is set up in the home above it, on a toy model."""
    fakes.advertise(tmp_path / "plugin", monkeypatch.setenv, monkeypatch.syspath_prepend)
    base = fakes.make_base(tmp_path / "base", dimension=64)
    info = tmp_path / "plugin" / "ragd-1.0.10.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ragd\nVersion: 1.0.10\n")
    for name, value in {**SETTINGS, **LEARNS}.items():
        monkeypatch.setenv(name, value)
    for name in ("RAGD_TUNE_HOME", "RAGD_TUNE_BASE"):
        monkeypatch.delenv(name, raising=False)
    people = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONUTF8": "1"}
    for name, value in {**people, "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    config = tmp_path / ".ragd" / "config.yaml"
    config.parent.mkdir()
    config.write_text(
        f"# mine\nembedding:\n  model: {base}\n  dimension: 64\nstorage:\n"
        f"  data_dir: {config.parent}\n",
        encoding="utf-8",
    )
    made = tmp_path / "work"
    made.mkdir()
    return made


@pytest.mark.slow
def test_the_tutorial_for_ragd_runs_as_it_is_written(folder: Path) -> None:
    config = folder.parent / ".ragd" / "config.yaml"
    written = config.read_bytes()
    follow(TUTORIALS / "ragd.md", folder, lambda line: run(line, folder))
    assert config.read_bytes() == written


def run(line: str, folder: Path) -> str:
    """Run a line of the page; where something is asked, the answer is yes."""
    words = shlex.split(line)
    if words[0] == "ragd":
        if words[1] == "index":
            index(folder / words[2], folder.parent)
        return ""
    starts = {"ragd-tune": [sys.executable, "-m", "ragd_tune"], "python": [sys.executable]}
    done = subprocess.run(
        [*starts[words[0]], *words[1:]], cwd=folder, input="y\n", capture_output=True,
        text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def index(documents: Path, home: Path) -> None:
    """Put one chunk a document where ragd puts it."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(documents.iterdir())}
    with load_base(str(home / "base"), home=home / "cache") as base:
        vectors: Any = base.embed_documents(list(texts.values()))
    client = chromadb.PersistentClient(
        path=str(home / ".ragd" / "chroma"),
        settings=Settings(anonymized_telemetry=False, allow_reset=True),
    )
    chunks = client.get_or_create_collection("ragd_documents", metadata={"hnsw:space": "cosine"})
    chunks.add(
        ids=[f"{key}_chunk_0" for key in texts],
        documents=list(texts.values()),
        embeddings=vectors,
        metadatas=[{"document_id": key, "chunk_index": 0} for key in texts],
    )
    records = client.get_or_create_collection("ragd_metadata")
    records.add(
        ids=list(texts), documents=list(texts), embeddings=vectors,
        metadatas=[{"chunk_count": 1} for _ in texts],
    )  # fmt: skip
    client.close()
