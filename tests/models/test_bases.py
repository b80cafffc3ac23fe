from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ragd_tune.errors import BaseMismatchError, NotInstalledError, StoreError
from ragd_tune.models import adopt, find, fingerprint, hold, locate, remember, resolve
from ragd_tune.plan import BaseModel


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def base(model: Path, home: Path) -> BaseModel:
    return resolve(str(model), home=home)


def spoil(folder: Path) -> None:
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 64}', encoding="utf-8")


def test_an_unknown_fingerprint_is_found_nowhere(home: Path) -> None:
    assert find(home, "ab" * 32) is None


def test_a_remembered_base_is_found_by_its_fingerprint(home: Path, base: BaseModel) -> None:
    remember(home, base)
    assert find(home, base.fingerprint) == base


def test_a_remembered_base_that_is_gone_or_has_changed_is_not_found(
    home: Path, base: BaseModel
) -> None:
    remember(home, base)
    spoil(base.path)
    assert find(home, base.fingerprint) is None
    shutil.rmtree(base.path)
    assert find(home, base.fingerprint) is None


def test_a_held_base_outlives_its_folder_and_moves_with_the_store(
    home: Path, base: BaseModel, tmp_path: Path
) -> None:
    (base.path / "pytorch_model.bin").write_bytes(b"\x80\x02pickle")
    held = hold(home, base)
    assert held.source == "store"
    assert fingerprint(held.path) == base.fingerprint
    assert not (held.path / "pytorch_model.bin").exists()
    shutil.rmtree(base.path)
    moved = tmp_path / "moved"
    home.rename(moved)
    found = find(moved, base.fingerprint)
    assert found is not None
    assert (found.path, found.source) == (
        moved / "bases" / base.fingerprint / "model", "store",
    )  # fmt: skip


def test_holding_twice_keeps_the_sound_copy_and_replaces_a_damaged_one(
    home: Path, base: BaseModel
) -> None:
    held = hold(home, base)
    inode = (held.path / "model.safetensors").stat().st_ino
    hold(home, base)
    assert (held.path / "model.safetensors").stat().st_ino == inode
    spoil(held.path)
    assert fingerprint(hold(home, base).path) == base.fingerprint


def test_a_base_that_changed_before_it_was_held_is_refused_and_leaves_nothing(
    home: Path, base: BaseModel
) -> None:
    spoil(base.path)
    with pytest.raises(BaseMismatchError):
        hold(home, base)
    assert list((home / "bases" / base.fingerprint).iterdir()) == []


@pytest.mark.parametrize(
    "damage", ["", "[]", "{}", '{"name": 1}', '{"name": "x", "path": null, "source": "path"}']
)
def test_a_damaged_pointer_is_passed_over(home: Path, base: BaseModel, damage: str) -> None:
    remember(home, base)
    (home / "bases" / base.fingerprint / "base.json").write_text(damage, encoding="utf-8")
    assert find(home, base.fingerprint) is None


@pytest.mark.parametrize("bad", ["", "..", "../../etc", "a/b", "C:\\x", "x" * 200])
def test_what_is_no_fingerprint_never_becomes_a_path(home: Path, bad: str) -> None:
    with pytest.raises(StoreError, match="is no fingerprint"):
        find(home, bad)


def test_locating_takes_the_remembered_base_whatever_it_is_called(
    home: Path, base: BaseModel
) -> None:
    remember(home, base)
    assert locate("any-name", base.fingerprint, home, offline=True).path == base.path


def test_locating_by_name_checks_the_fingerprint_and_remembers(home: Path) -> None:
    true = resolve("all-MiniLM-L6-v2", offline=True, home=home)
    found = locate("all-MiniLM-L6-v2", true.fingerprint, home, offline=True)
    assert found == true
    assert find(home, true.fingerprint) == true


def test_another_model_of_that_name_is_refused_with_both_fingerprints(home: Path) -> None:
    true = resolve("all-MiniLM-L6-v2", offline=True, home=home)
    with pytest.raises(BaseMismatchError) as refused:
        locate("all-MiniLM-L6-v2", "ab" * 32, home, offline=True)
    for words in (true.fingerprint[:12], "ab" * 6, str(true.path)):
        assert words in refused.value.message
    assert "the very model" in refused.value.mend


def test_a_missing_base_names_the_store_too(home: Path) -> None:
    with pytest.raises(NotInstalledError) as missed:
        locate("o/tiny", "ab" * 32, home, offline=True)
    assert f"has no base {'ab' * 6}" in missed.value.message
    assert "hf download o/tiny" in missed.value.mend


def test_a_manifests_name_is_never_taken_for_a_path(
    home: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    for name in ("model", str(model), "./model"):
        with pytest.raises(NotInstalledError):
            locate(name, fingerprint(model), home, offline=True)


def test_an_adopted_folder_is_found_from_then_on(home: Path, model: Path) -> None:
    made = adopt(model, home=home)
    assert locate("model", made.fingerprint, home, offline=True).path == model.resolve()
    pointer = json.loads((home / "bases" / made.fingerprint / "base.json").read_bytes())
    assert pointer["path"] == str(model.resolve())
