"""Committing, finding, verifying and removing adapters."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.errors import RefusedAdapterError, StoreError, UsageError
from ragd_tune.store import Entry, Manifest, Store
from ragd_tune.store.manifest import FILE

Put = Callable[..., Entry]
WEIGHTS = "adapter_model.safetensors"


def spoil(entry: Entry) -> None:
    path = entry.path / WEIGHTS
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))


def test_a_committed_adapter_lies_under_its_kind_and_content_id(store: Store, put: Put) -> None:
    entry = put(1.0)
    assert entry.path == store.root / "adapters" / "bi-encoder" / entry.id
    assert entry.id == entry.manifest.content_id
    assert Manifest.load(entry.path) == entry.manifest
    assert entry.shown == "adapter-1"
    assert store.verify() == ()


def test_the_home_is_the_environments_else_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "x"))
    assert Store().root == tmp_path / "x"
    monkeypatch.delenv("RAGD_TUNE_HOME")
    assert Store().root == Path.home() / ".ragd" / "tune"


def test_looking_at_a_store_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert (store.list(), store.history(), store.active("embedder")) == ([], [], None)
    assert not store.root.exists()


def test_an_equal_sound_adapter_is_kept_and_gets_the_new_name_as_well(
    store: Store, put: Put
) -> None:
    first = put(1.0)
    inode = (first.path / WEIGHTS).stat().st_ino
    store.name(first.id, "mine")
    again = put(1.0)
    assert (again.path / WEIGHTS).stat().st_ino == inode
    assert again.names == ("adapter-1", "mine")


@pytest.mark.parametrize("damage", ["a byte", "a missing file", "an extra file", "a file instead"])
def test_an_equal_damaged_adapter_is_replaced(store: Store, put: Put, damage: str) -> None:
    entry = put(1.0)
    match damage:
        case "a byte":
            spoil(entry)
        case "a missing file":
            (entry.path / WEIGHTS).unlink()
        case "an extra file":
            (entry.path / "evil.py").write_text("import os", encoding="utf-8")
        case _:
            shutil.rmtree(entry.path)
            entry.path.write_text("", encoding="utf-8")
    assert len(store.verify(entry.id)) == 1
    assert put(1.0).id == entry.id
    assert store.verify() == ()
    assert [*(store.root / "tmp").iterdir()] == []


def test_a_name_moves_to_the_adapter_that_gets_it_last(store: Store, put: Put) -> None:
    first, second = put(1.0), put(2.0)
    store.name(first.id, "docs")
    store.name(second.id, "docs")
    assert store.get("docs").id == second.id
    assert store.get(first.id).names == ("adapter-1",)


@pytest.mark.parametrize("name", ["", ".x", "a b", "a/b", "x" * 65, "abcdef", "012345", "é"])
def test_what_cannot_be_a_name_is_refused_and_the_draft_is_gone(
    name: str, store: Store, fill: Callable[[Path, float], None], seal: Callable[..., Manifest]
) -> None:
    draft = store.draft()
    fill(draft, 1.0)
    with pytest.raises(UsageError):
        store.commit(draft, seal(draft), [name])
    assert (store.list(), draft.exists()) == ([], False)


def test_a_folder_that_is_no_draft_is_not_moved_into_the_store(store: Store, adapter: Path) -> None:
    with pytest.raises(UsageError, match="is no draft"):
        store.commit(adapter, Manifest.load(adapter))
    assert adapter.is_dir()


def test_a_draft_that_does_not_match_its_manifest_is_refused(
    store: Store, fill: Callable[[Path, float], None], seal: Callable[..., Manifest]
) -> None:
    draft = store.draft()
    fill(draft, 1.0)
    described = seal(draft)
    fill(draft, 2.0)
    with pytest.raises(RefusedAdapterError, match="wrong hash"):
        store.commit(draft, described)
    assert store.list() == []


def test_an_adapter_is_found_by_name_by_id_and_by_the_start_of_its_id(
    store: Store, put: Put
) -> None:
    entry = put(1.0)
    for ref in ("adapter-1", entry.id, entry.id[:6], entry.id[:30]):
        assert store.get(ref).id == entry.id
    with pytest.raises(StoreError, match="no adapter is called 'nobody'"):
        store.get("nobody")
    with pytest.raises(StoreError, match="no adapter is called"):
        store.get(entry.id[:5])
    other = "0" if entry.id[0] != "0" else "1"
    with pytest.raises(StoreError, match="no adapter '"):
        store.get(other * 64)


def test_an_ambiguous_id_is_refused_with_the_candidates(store: Store, put: Put) -> None:
    entry = put(1.0)
    twin = entry.path.with_name(entry.id[:20] + "0" * 44)
    shutil.copytree(entry.path, twin)
    with pytest.raises(UsageError) as told:
        store.get(entry.id[:10])
    assert entry.id[:14] in told.value.message
    assert "(bi-encoder)" in told.value.message


def test_an_adapter_of_another_kind_is_not_taken_for_this_one(store: Store, put: Put) -> None:
    put(1.0)
    assert store.get("adapter-1", kind="bi-encoder").kind == "bi-encoder"
    with pytest.raises(StoreError, match="adapter-1 is a bi-encoder, not a colbert"):
        store.get("adapter-1", kind="colbert")


def test_listing_is_by_kind_and_leaves_out_what_cannot_be_read(
    store: Store, put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = put(1.0), put(2.0, kind="cross-encoder")
    assert [entry.id for entry in store.list()] == [first.id, second.id]
    assert [entry.id for entry in store.list("cross-encoder")] == [second.id]
    (first.path / FILE).write_text("{", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert [entry.id for entry in store.list()] == [second.id]
    assert first.id[:12] in caplog.text


def test_verify_names_every_kind_of_damage(store: Store, put: Put) -> None:
    first, second = put(1.0, proven=True), put(2.0, proven=True)
    store.activate(first.id, "embedder")
    store.activate(second.id, "embedder")
    spoil(first)
    shutil.rmtree(second.path)
    (store.root / "names.json").write_text('{"names": 1}', encoding="utf-8")
    (store.root / "looks.jsonl").write_text('{"at": 1}\n', encoding="utf-8")
    (store.root / "records" / first.id / "0001-proof.json").write_text("{}", encoding="utf-8")
    history = store.root / "history.jsonl"
    history.write_bytes(b"".join(history.read_bytes().splitlines(keepends=True)[1:]))
    found = " | ".join(finding.problem for finding in store.verify())
    for expected in (
        "wrong hash",
        "names: not ids by name",
        "looks.jsonl:1: ",
        "0001-proof.json: ",
        "history.jsonl:1: change 1 is missing",
        f"the active embedder, {second.id[:12]}, is missing",
    ):
        assert expected in found


def test_an_adapter_under_the_name_of_another_is_not_sound(store: Store, put: Put) -> None:
    entry = put(1.0)
    moved = entry.path.rename(entry.path.with_name("0" * 64))
    (finding,) = store.verify(moved.name)
    assert "the manifest is that of another adapter" in finding.problem


def test_removing_takes_folder_names_and_view_and_keeps_the_records(store: Store, put: Put) -> None:
    entry = put(1.0, proven=True)
    store.view_dir(entry.id).mkdir(parents=True)
    store.remove("adapter-1")
    assert (store.list(), store.view_dir(entry.id).exists()) == ([], False)
    assert json.loads((store.root / "names.json").read_bytes())["names"] == {}
    assert len(store.records(entry.id)) == 1
    assert store.verify() == ()


def test_the_active_adapter_cannot_be_removed(store: Store, put: Put) -> None:
    put(1.0, proven=True)
    store.activate("adapter-1", "embedder")
    with pytest.raises(StoreError, match="adapter-1 is the active embedder"):
        store.remove("adapter-1")
    store.rollback("embedder")
    store.remove("adapter-1")


def test_a_living_draft_is_left_alone_and_an_abandoned_one_is_cleaned_up(store: Store) -> None:
    living = store.draft()
    (living / "a.json").write_text("{}", encoding="utf-8")
    abandoned = store.root / "tmp" / "draft-0000"
    (abandoned / "sub").mkdir(parents=True)
    other = Store(store.root)
    assert other.verify() == ()
    assert (living / "a.json").exists()
    assert not abandoned.exists()
    store.discard(living)
    store.discard(living)
    assert [*(store.root / "tmp").iterdir()] == []


def test_what_was_put_aside_comes_back_unless_its_place_is_taken(store: Store, put: Put) -> None:
    entry = put(1.0)
    aside = store.root / "tmp" / f"aside-bi-encoder~{entry.id}"
    entry.path.rename(aside)
    assert store.verify() == ()
    assert store.get(entry.id).id == entry.id
    shutil.copytree(entry.path, aside)
    assert store.verify() == ()
    assert not aside.exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user without all rights")
def test_missing_rights_are_an_error_with_a_mend(store: Store, put: Put) -> None:
    put(1.0)
    store.root.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="Permission denied") as told:
            store.name("adapter-1", "mine")
    finally:
        store.root.chmod(0o700)
    assert "rights" in told.value.mend


def test_a_store_on_a_file_is_an_error_with_a_mend(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("", encoding="utf-8")
    with pytest.raises(StoreError) as told:
        Store(tmp_path / "home").draft()
    assert told.value.mend


def test_a_store_that_stays_locked_is_an_error_that_says_so(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(1.0)
    monkeypatch.setattr("ragd_tune.store.layout.PATIENCE", 0.0)
    with store.layout.locked(), pytest.raises(StoreError, match="locked by another process"):
        Store(store.root).name("adapter-1", "mine")
