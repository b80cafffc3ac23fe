"""Embedding again what ragd has indexed: whole, checked, resumable, and never mixed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.errors import DataError, StoreError
from ragd_tune.ragd import chroma, chunks
from ragd_tune.ragd.marker import Marker, read_marker
from ragd_tune.ragd.reindex import count, measure, reindex

KILLED = """
import os, signal, sys
from pathlib import Path
from ragd_tune.ragd.reindex import reindex
from ragd_tune.serve.load import load

source, target, ref, point = sys.argv[1:]
calls = 0

def progress(done, total):
    global calls
    calls += 1
    if calls == int(point):
        os.kill(os.getpid(), signal.SIGKILL)

with load(ref) as embedder:
    reindex(Path(source), Path(target), embedder, batch=5, progress=progress)
"""


def fill(bench: Any, documents: int = 6, each: int = 4) -> None:
    base = bench.embedder()
    for number in range(documents):
        texts = [f"document {number} part {part} a harbour at night" for part in range(each)]
        bench.index.add(f"d{number}", texts, lambda some: base.embed_documents(some).tolist())


def vectors(folder: Path) -> dict[str, Any]:
    with chroma.reading(folder, vectors=[chroma.DOCUMENTS]) as client:
        found = client.get_collection(chroma.DOCUMENTS).get(include=["embeddings"])
    return dict(zip(found["ids"], found["embeddings"], strict=True))


def words(folder: Path) -> list[Any]:
    with sqlite3.connect(folder / "bm25.db") as database:
        rows = database.execute("SELECT * FROM chunks_fts ORDER BY chunk_id").fetchall()
    database.close()
    return rows


def rest(folder: Path, names: list[str]) -> list[Any]:
    told = []
    with chroma.reading(folder, vectors=names) as client:
        for name in names:
            found = client.get_collection(name)
            vectors = found.get(include=["embeddings"])["embeddings"].tolist()
            told += [found.metadata, found.get(include=["documents", "metadatas"]), vectors]
    return told


def test_the_new_index_holds_every_chunk_with_the_adapters_own_vectors(bench: Any) -> None:
    fill(bench)
    bench.train("mine")
    target = bench.home / ".ragd" / "new"
    with bench.embedder("mine") as mine:
        done = reindex(bench.index.folder, target, mine, batch=5)
        assert (done.chunks, done.embedded, done.removed) == (24, 24, 0)
        assert list(chunks(target)) == list(chunks(bench.index.folder))
        stored = vectors(target)
        texts = {one.id: one.text for one in chunks(target)}
        own = mine.embed_documents([texts[key] for key in stored])
    np.testing.assert_allclose(np.array(list(stored.values())), own, atol=1e-5)


def test_records_keywords_and_images_are_carried_over_as_they_are(bench: Any) -> None:
    fill(bench, 2)
    client = bench.index.client()
    images = client.get_or_create_collection("ragd_images", metadata={"hnsw:space": "cosine"})
    images.add(ids=["i"], embeddings=[[0.25, 0.5]], documents=["a boat"], metadatas=[{"p": 1}])
    client.close()
    bench.train("mine")
    target = bench.home / ".ragd" / "new"
    with bench.embedder("mine") as mine:
        reindex(bench.index.folder, target, mine)
    assert words(target) == words(bench.index.folder)
    assert count(target) == (2, 8)
    names = ["ragd_images", "ragd_metadata"]
    assert rest(target, names) == rest(bench.index.folder, names)


def test_the_source_keeps_every_byte(bench: Any) -> None:
    fill(bench, 2)
    before = bench.index.files()
    bench.train("mine")
    with bench.embedder("mine") as mine:
        measure(bench.index.folder, mine)
        reindex(bench.index.folder, bench.home / ".ragd" / "new", mine)
    assert bench.index.files() == before


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("point", [1, 3, 6])
def test_a_killed_run_goes_on_where_it_was(bench: Any, point: int) -> None:
    fill(bench)
    entry = bench.train("mine")
    target = bench.home / ".ragd" / "new"
    command = [sys.executable, "-c", KILLED, str(bench.index.folder), str(target), "mine"]
    ended = subprocess.run([*command, str(point)], check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    marked = read_marker(target)
    assert marked is not None
    assert (marked.state, marked.model) == ("building", entry.id)
    with bench.embedder("mine") as mine:
        done = reindex(bench.index.folder, target, mine, batch=5)
        assert done.chunks == 24
        assert done.embedded == max(0, 24 - 5 * (point - 1))
        texts = {one.id: one.text for one in chunks(target)}
        own = mine.embed_documents([texts[key] for key in sorted(texts)])
    stored = vectors(target)
    np.testing.assert_allclose(np.array([stored[key] for key in sorted(stored)]), own, atol=1e-5)
    marked = read_marker(target)
    assert marked is not None
    assert marked.state == "ready"


def test_what_changed_in_the_source_is_all_that_is_embedded_again(bench: Any) -> None:
    fill(bench, 3)
    bench.train("mine")
    target = bench.home / ".ragd" / "new"
    with bench.embedder("mine") as mine:
        reindex(bench.index.folder, target, mine)
        client = bench.index.client()
        found = client.get_collection(chroma.DOCUMENTS)
        found.delete(ids=["d0_chunk_0", "d0_chunk_1"])
        found.update(ids=["d1_chunk_0"], documents=["another text"], embeddings=[[0.0] * 16])
        client.close()
        done = reindex(bench.index.folder, target, mine)
        assert (done.chunks, done.embedded, done.removed) == (10, 1, 2)
        own = mine.embed_documents(["another text"])[0]
    np.testing.assert_allclose(vectors(target)["d1_chunk_0"], own, atol=1e-5)


def test_a_context_that_ragd_put_before_a_chunk_is_embedded_with_it(bench: Any) -> None:
    base = bench.embedder()
    embed = lambda some: base.embed_documents(some).tolist()  # noqa: E731
    bench.index.add("d", ["the text"], embed, context="of a letter")
    bench.train("mine")
    target = bench.home / ".ragd" / "new"
    with bench.embedder("mine") as mine:
        reindex(bench.index.folder, target, mine)
        own = mine.embed_documents(["of a letter\n\nthe text"])[0]
    np.testing.assert_allclose(vectors(target)["d_chunk_0"], own, atol=1e-5)


def test_an_index_of_another_space_is_never_built_upon(bench: Any) -> None:
    fill(bench, 1)
    bench.train("one")
    bench.train("two", seed=3)
    target = bench.home / ".ragd" / "new"
    with bench.embedder("one") as one, bench.embedder("two") as two:
        reindex(bench.index.folder, target, one)
        with pytest.raises(StoreError, match="holds vectors of one, not of two"):
            reindex(bench.index.folder, target, two)
        marked = read_marker(target)
        assert marked is not None
        assert (marked.space, marked.state) == (one.space, "ready")


def test_an_index_that_is_not_ours_is_never_built_upon(bench: Any) -> None:
    fill(bench, 1)
    bench.train("mine")
    target = bench.home / ".ragd" / "theirs"
    shutil.copytree(bench.index.folder, target)
    with bench.embedder("mine") as mine:
        with pytest.raises(StoreError, match="did not make"):
            reindex(bench.index.folder, target, mine)
        with pytest.raises(StoreError, match="into itself"):
            reindex(target, target, mine)


def test_vectors_that_are_not_the_models_are_found_before_the_switch(bench: Any) -> None:
    fill(bench, 1)
    bench.train("mine")
    target = bench.home / ".ragd" / "new"
    with bench.embedder("mine") as mine:
        reindex(bench.index.folder, target, mine)
        client = chroma.open_client(target)
        client.get_collection(chroma.DOCUMENTS).update(
            ids=["d0_chunk_0"], embeddings=[[0.0] * 15 + [1.0]]
        )
        chroma.close_client(client)
        with pytest.raises(StoreError, match="vectors differ from the model's") as caught:
            reindex(bench.index.folder, target, mine)
    assert "--fresh" in caught.value.mend
    marked = read_marker(target)
    assert marked is not None
    assert marked.state == "building"


def test_another_chromadb_than_ragds_builds_nothing(bench: Any) -> None:
    fill(bench, 1)
    with sqlite3.connect(bench.index.folder / "chroma.sqlite3") as database:
        database.execute(
            "INSERT INTO migrations SELECT dir, 99, '00099-x.sqlite.sql', sql, hash FROM migrations"
            " WHERE dir = 'sysdb' AND version = 1"
        )
    database.close()
    bench.train("mine")
    with bench.embedder("mine") as mine, pytest.raises(DataError, match="another version"):
        reindex(bench.index.folder, bench.home / ".ragd" / "new", mine)


def test_the_time_that_it_takes_is_measured_on_a_sample(bench: Any) -> None:
    fill(bench, 2)
    base = bench.embedder()
    assert 0 < measure(bench.index.folder, base, sample=3) < 60


def test_a_damaged_marker_is_an_error_with_a_mend(tmp_path: Path) -> None:
    (tmp_path / "ragd-tune-index.json").write_text('{"schema": 1}', encoding="utf-8")
    with pytest.raises(StoreError, match="space") as caught:
        read_marker(tmp_path)
    assert "reindex --fresh" in caught.value.mend
    Marker(space="s" * 64, model="m" * 64, name="n", dimension=2, state="ready").write(tmp_path)
    assert read_marker(tmp_path) is not None
