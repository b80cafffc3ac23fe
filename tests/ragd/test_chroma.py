"""Reading what ragd has indexed, without touching it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragd_tune.errors import DataError
from ragd_tune.ragd import chunks
from ragd_tune.ragd.chroma import RECORDS, reading


def letters(texts: Any) -> list[list[float]]:
    return [[float(1 + text.count(letter)) for letter in "aeio"] for text in texts]


def test_every_chunk_comes_with_its_id_its_text_and_ragds_metadata(host_index: Any) -> None:
    host_index.add("beta", ["a harbour at night", "Überprüfung 🔎"], letters, pages=3)
    host_index.add("alpha", ["an olive tree"], letters)
    found = list(chunks(host_index.folder))
    assert [one.id for one in found] == ["alpha_chunk_0", "beta_chunk_0", "beta_chunk_1"]
    assert {one.id: one.text for one in found} == host_index.chunks
    assert found[1].metadata["document_id"] == "beta"
    assert found[1].metadata["pages"] == 3


def test_more_chunks_than_one_batch_all_come_once(host_index: Any) -> None:
    host_index.add("long", [f"sentence {number}" for number in range(1203)], letters)
    found = {one.id: one.text for one in chunks(host_index.folder)}
    assert found == host_index.chunks


def test_reading_leaves_every_byte_of_ragds_index_as_it_was(host_index: Any) -> None:
    host_index.add("one", ["text"], letters)
    before = host_index.files()
    list(chunks(host_index.folder))
    with reading(host_index.folder, vectors=[RECORDS]):
        pass
    assert host_index.files() == before


def test_the_vectors_that_are_asked_for_can_be_read_from_the_snapshot(host_index: Any) -> None:
    host_index.add("three", ["text"], letters)
    with reading(host_index.folder, vectors=[RECORDS]) as client:
        found = client.get_collection(RECORDS).get(include=["embeddings"])
    assert found["embeddings"].tolist() == [[5.0, 1.0, 2.0]]


def test_what_ragd_writes_meanwhile_does_not_disturb_the_reader(host_index: Any) -> None:
    host_index.add("one", ["first", "second"], letters)
    reader = iter(chunks(host_index.folder))
    first = next(reader)
    host_index.add("another", ["third"], letters)
    assert [first.text, *(one.text for one in reader)] == ["first", "second"]


def test_a_snapshot_holds_the_documents_only_as_long_as_it_is_read(
    host_index: Any, tmp_path: Path
) -> None:
    host_index.add("one", ["secret"], letters)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    reader = chunks(host_index.folder, scratch=scratch)
    next(reader)
    assert list(scratch.iterdir())
    reader.close()  # type: ignore[attr-defined]
    assert not list(scratch.iterdir())


def test_a_folder_without_an_index_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="indexed nothing") as caught:
        list(chunks(tmp_path))
    assert "ragd index" in caught.value.mend


def test_a_database_that_is_no_chroma_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match=r"chroma\.sqlite3: cannot be read"):
        list(chunks(tmp_path))
