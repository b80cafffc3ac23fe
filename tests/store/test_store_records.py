"""Records beside adapters, looks at test sets, and archives."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.errors import NotProvenError, StoreError, UsageError
from ragd_tune.store import Entry, Manifest, Store
from ragd_tune.store.manifest import FILE

Put = Callable[..., Entry]


def test_records_are_numbered_and_never_written_over(store: Store, put: Put) -> None:
    entry = put(1.0)
    for number in range(1, 12):
        kind = "proof" if number % 2 else "calibration"
        store.record(entry.id, kind, {"n": number})
    assert [one.payload["n"] for one in store.records(entry.id)] == [*range(1, 12)]
    assert [one.number for one in store.records(entry.id, "calibration")] == [2, 4, 6, 8, 10]
    folder = store.root / "records" / entry.id
    assert (folder / "0001-proof.json").exists()
    assert (folder / "0002-calibration.json").exists()


def test_records_do_not_change_the_content_id(store: Store, put: Put) -> None:
    entry = put(1.0, proven=True)
    assert store.get(entry.id).manifest.content_id == entry.id


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": object()}, {"x": b""}, {1j: 2}])
def test_what_is_not_plain_json_is_not_recorded(
    payload: dict[str, object], store: Store, put: Put
) -> None:
    entry = put(1.0)
    with pytest.raises(StoreError, match="cannot be stored as JSON"):
        store.record(entry.id, "proof", payload)
    assert store.records(entry.id) == []


@pytest.mark.parametrize(("content_id", "type"), [("../x", "proof"), ("0" * 64, "../proof")])
def test_a_record_cannot_be_written_elsewhere(content_id: str, type: str, store: Store) -> None:  # noqa: A002
    with pytest.raises(StoreError, match="String should match pattern"):
        store.record(content_id, type, {})
    assert [*store.root.rglob("*.json")] == []


def test_every_look_at_a_test_set_is_counted(store: Store) -> None:
    assert [store.look("set-a:test", "x" * 64) for _ in range(3)] == [1, 2, 3]
    assert store.look("set-b:test", "x" * 64) == 1
    assert Store(store.root).look("set-a:test", "y" * 64) == 4
    assert [look.adapter[0] for look in store.looks("set-a:test")] == ["x", "x", "x", "y"]
    assert len(store.looks()) == 5


def test_a_torn_look_is_cut_off(store: Store) -> None:
    store.look("a", "x")
    path = store.root / "looks.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at": "2')
    assert len(store.looks()) == 1
    assert store.look("a", "x") == 2


def test_exporting_twice_gives_identical_bytes_on_any_store(
    store: Store, put: Put, tmp_path: Path
) -> None:
    entry = put(1.0, proven=True)
    one = store.export("adapter-1", tmp_path / "1.tar")
    two = store.export(entry.id, tmp_path / "2.tar")
    assert one.read_bytes() == two.read_bytes()
    other = Store(tmp_path / "other")
    other.import_(one)
    bare = [
        place.export(entry.id, tmp_path / f"{number}.bare.tar", records=False).read_bytes()
        for number, place in enumerate([store, other])
    ]
    assert bare[0] == bare[1]


def test_an_archive_holds_no_times_no_owners_and_no_paths(
    store: Store, put: Put, tmp_path: Path
) -> None:
    put(1.0, proven=True)
    with tarfile.open(store.export("adapter-1", tmp_path / "a.tar")) as tar:
        members = tar.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    names = [m.name for m in members]
    assert names[-1] == "records/0001-proof.json"
    assert f"adapter/{FILE}" in names


def test_an_export_into_a_folder_gets_a_name_and_overwrites_only_when_told(
    store: Store, put: Put, tmp_path: Path
) -> None:
    entry = put(1.0)
    out = store.export("adapter-1", tmp_path)
    assert out.name == f"bi-encoder-{entry.id[:12]}.tar"
    before = out.stat().st_ino
    with pytest.raises(UsageError, match="exists"):
        store.export("adapter-1", tmp_path / out.name)
    assert out.stat().st_ino == before
    store.export("adapter-1", tmp_path / out.name, overwrite=True)
    with pytest.raises(StoreError) as told:
        store.export("adapter-1", tmp_path / "nowhere" / "a.tar")
    assert told.value.mend


def test_a_damaged_adapter_is_not_exported(store: Store, put: Put, tmp_path: Path) -> None:
    entry = put(1.0)
    (entry.path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match="adapter_config"):
        store.export("adapter-1", tmp_path / "a.tar")
    assert not [*tmp_path.glob("*a.tar*")]


def test_an_import_brings_the_adapter_and_its_records_and_opens_no_gate(
    store: Store, put: Put, tmp_path: Path
) -> None:
    entry = put(1.0, proven=True)
    archive = store.export("adapter-1", tmp_path / "a.tar")
    other = Store(tmp_path / "other")
    found = other.import_(archive, names=["theirs"])
    assert (found.id, found.names, found.manifest) == (entry.id, ("theirs",), entry.manifest)
    (record,) = other.records(entry.id)
    (original,) = store.records(entry.id)
    assert record.imported
    assert (record.payload, record.at) == (original.payload, original.at)
    with pytest.raises(NotProvenError, match="no proof made here, only an imported one"):
        other.activate("theirs", "embedder")
    other.record(found.id, "proof", {"passed": True})
    assert other.activate("theirs", "embedder").id == entry.id
    assert other.verify() == ()


def test_importing_twice_adds_nothing(store: Store, put: Put, tmp_path: Path) -> None:
    put(1.0, proven=True)
    archive = store.export("adapter-1", tmp_path / "a.tar")
    other = Store(tmp_path / "other")
    first, second = other.import_(archive), other.import_(archive)
    assert first == second
    assert len(other.records(first.id)) == 1
    assert store.import_(archive).id == first.id
    assert [record.imported for record in store.records(first.id)] == [False]


def test_a_plain_folder_is_imported_as_an_archive_is_and_left_alone(
    store: Store, adapter: Path, snapshot: Callable[[Path], dict[str, str]]
) -> None:
    before = snapshot(adapter)
    entry = store.import_(adapter, base_here=lambda base: base.name == "all-MiniLM-L6-v2")
    assert entry.id == Manifest.load(adapter).content_id
    assert snapshot(adapter) == before
    assert store.verify() == ()


def test_a_record_about_another_adapter_is_refused(store: Store, put: Put, tmp_path: Path) -> None:
    one = put(1.0, proven=True)
    two = put(2.0)
    shutil.copytree(store.root / "records" / one.id, store.root / "records" / two.id)
    archive = store.export(two.id, tmp_path / "a.tar")
    with pytest.raises(StoreError, match=r"0001-proof\.json: is a record of another adapter"):
        Store(tmp_path / "other").import_(archive)
    assert Store(tmp_path / "other").list() == []


def test_a_source_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such archive or folder"):
        store.import_(tmp_path / "nowhere.tar")


def test_a_record_of_a_newer_version_is_named(store: Store, put: Put) -> None:
    entry = put(1.0, proven=True)
    path = store.root / "records" / entry.id / "0001-proof.json"
    path.write_text(json.dumps({"schema": 9}), encoding="utf-8")
    with pytest.raises(StoreError, match=r"0001-proof\.json: a newer version"):
        store.records(entry.id)
