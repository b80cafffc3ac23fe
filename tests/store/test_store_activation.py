"""The gate, activation, rollback and their history."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.errors import NOT_PROVEN, NotProvenError, StoreError, UsageError
from ragd_tune.store import Entry, Store

Put = Callable[..., Entry]


def test_only_an_adapter_whose_last_proof_passed_is_activated(store: Store, put: Put) -> None:
    put(1.0, proven=True)
    put(2.0, proven=False)
    put(3.0)
    assert store.activate("adapter-1", "embedder").forced is False
    with pytest.raises(NotProvenError) as told:
        store.activate("adapter-2", "embedder")
    assert told.value.exit_code == NOT_PROVEN
    assert "adapter-2 is not proven better: nDCG@10 rose by +0.0100" in told.value.message
    assert "--force" in told.value.mend
    with pytest.raises(NotProvenError, match="adapter-3 has no proof made here") as none:
        store.activate("adapter-3", "embedder")
    assert "evaluate adapter-3" in none.value.mend
    assert store.active("embedder") == store.history()[-1]
    assert len(store.history()) == 1


def test_a_later_proof_overrules_an_earlier_one(store: Store, put: Put) -> None:
    entry = put(1.0, proven=True)
    store.record(entry.id, "proof", {"passed": False})
    with pytest.raises(NotProvenError, match="its last proof did not pass"):
        store.activate("adapter-1", "embedder")
    store.record(entry.id, "proof", {"passed": True})
    store.record(entry.id, "calibration", {"passed": False})
    assert store.activate("adapter-1", "embedder").id == entry.id


@pytest.mark.parametrize("passed", [1, "true", None, [True]])
def test_only_true_is_a_pass(passed: object, store: Store, put: Put) -> None:
    store.record(put(1.0).id, "proof", {"passed": passed})
    with pytest.raises(NotProvenError):
        store.activate("adapter-1", "embedder")


def test_force_activates_and_the_history_says_so(store: Store, put: Put) -> None:
    put(1.0, proven=False)
    assert store.activate("adapter-1", "embedder", force=True).forced
    assert store.history()[-1].forced


def test_force_on_a_proven_adapter_is_not_called_forced(store: Store, put: Put) -> None:
    put(1.0, proven=True)
    assert not store.activate("adapter-1", "embedder", force=True).forced


def test_a_damaged_adapter_is_not_activated_even_by_force(store: Store, put: Put) -> None:
    entry = put(1.0, proven=True)
    (entry.path / "extra.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match=r"extra\.json is not in"):
        store.activate("adapter-1", "embedder", force=True)
    assert store.history() == []


def test_what_is_no_slot_is_refused(store: Store, put: Put) -> None:
    put(1.0, proven=True)
    with pytest.raises(UsageError, match="'x' is no slot"):
        store.activate("adapter-1", "x")
    with pytest.raises(UsageError, match="'x' is no slot"):
        store.rollback("x")


def test_activating_what_is_active_changes_nothing(store: Store, put: Put) -> None:
    put(1.0, proven=True)
    first = store.activate("adapter-1", "embedder")
    assert store.activate("adapter-1", "embedder") == first
    assert store.history() == [first]


def test_rollbacks_undo_one_activation_each_down_to_the_bare_base(store: Store, put: Put) -> None:
    one, two, three = (put(value, proven=True).id for value in (1.0, 2.0, 3.0))
    for ref in (one, two, three):
        store.activate(ref, "embedder")
    assert [store.rollback("embedder").id for _ in range(3)] == [two, one, None]
    assert store.active("embedder") is None
    with pytest.raises(StoreError, match="nothing to roll back"):
        store.rollback("embedder")
    assert [entry.action for entry in store.history()] == ["activate"] * 3 + ["rollback"] * 3


def test_an_activation_after_a_rollback_is_undone_first(store: Store, put: Put) -> None:
    one, two, three = (put(value, proven=True).id for value in (1.0, 2.0, 3.0))
    store.activate(one, "embedder")
    store.activate(two, "embedder")
    store.rollback("embedder")
    store.activate(three, "embedder")
    assert [store.rollback("embedder").id for _ in range(2)] == [one, None]


def test_a_rollback_to_what_is_gone_or_damaged_is_refused(store: Store, put: Put) -> None:
    one, two = (put(value, proven=True) for value in (1.0, 2.0))
    store.activate(one.id, "embedder")
    store.activate(two.id, "embedder")
    (one.path / "adapter_config.json").write_text("{ }", encoding="utf-8")
    with pytest.raises(StoreError, match=f"{one.id[:12]}, which served before, is missing or dam"):
        store.rollback("embedder")
    store.remove(one.id)
    with pytest.raises(StoreError, match="is missing or damaged"):
        store.rollback("embedder")
    assert store.active("embedder") == store.history()[-1]


def test_deactivating_brings_the_bare_base_and_can_be_undone(store: Store, put: Put) -> None:
    entry = put(1.0, proven=True)
    assert store.deactivate("embedder") is None
    store.activate(entry.id, "embedder")
    changed = store.deactivate("embedder")
    assert changed is not None
    assert (changed.id, changed.previous) == (None, entry.id)
    assert store.active("embedder") is None
    assert store.rollback("embedder").id == entry.id


def test_slots_do_not_touch_one_another_and_share_one_history(store: Store, put: Put) -> None:
    one, two = (put(value, proven=True).id for value in (1.0, 2.0))
    store.activate(one, "embedder")
    store.activate(two, "reranker")
    store.activate(one, "generator")
    store.rollback("embedder")
    reranker, generator = store.active("reranker"), store.active("generator")
    assert store.active("embedder") is None
    assert (reranker and reranker.id, generator and generator.id) == (two, one)
    assert [entry.sequence for entry in store.history()] == [1, 2, 3, 4]


def activate_all(store: Store, put: Put) -> list[str]:
    ids = [put(float(value), proven=True).id for value in range(3)]
    for ref in ids:
        store.activate(ref, "embedder")
    return ids


def test_a_history_torn_at_any_byte_of_its_last_line_reads_whole_and_is_mended(
    store: Store, put: Put
) -> None:
    ids = activate_all(store, put)
    path, whole = store.root / "history.jsonl", store.history()
    raw = path.read_bytes()
    start = raw[:-1].rfind(b"\n") + 1
    for end in range(start, len(raw)):
        path.write_bytes(raw[:end])
        assert store.history() == whole
    active = (store.root / "active.json").read_bytes()
    for end in range(start, len(raw), 37):
        path.write_bytes(raw[:end])
        (store.root / "active.json").write_bytes(active)
        store.rollback("embedder")
        assert path.read_bytes().startswith(raw)
        assert [entry.id for entry in store.history()] == [*ids, ids[1]]
        assert path.read_bytes().count(b"\n") == 4


def test_a_lost_active_file_is_made_again_from_the_history(store: Store, put: Put) -> None:
    ids = activate_all(store, put)
    before = store.active("embedder")
    (store.root / "active.json").unlink()
    assert store.active("embedder") == before
    assert store.rollback("embedder").id == ids[1]
    assert [entry.sequence for entry in store.history()] == [1, 2, 3, 4]


@pytest.mark.parametrize("damage", [b"{\n", b'{"schema":1,"slots":{"embedder":1}}\n'])
@pytest.mark.parametrize("name", ["active.json", "history.jsonl"])
def test_damaged_state_is_named_and_not_written_over(
    name: str, damage: bytes, store: Store, put: Put
) -> None:
    activate_all(store, put)
    path = store.root / name
    path.write_bytes(damage)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=name):
        store.deactivate("embedder")
    with pytest.raises(StoreError, match=name) as told:
        store.rollback("embedder")
    assert "file" in told.value.mend
    assert path.read_bytes() == before


def test_state_of_a_newer_version_is_left_alone(store: Store, put: Put) -> None:
    put(1.0, proven=True)
    store.activate("adapter-1", "embedder")
    path = store.root / "active.json"
    path.write_text(json.dumps({"schema": 2, "new": []}), encoding="utf-8")
    with pytest.raises(StoreError, match="a newer version of ragd-tune needed"):
        store.active("embedder")


def test_a_line_missing_in_the_middle_is_not_passed_over(store: Store, put: Put) -> None:
    activate_all(store, put)
    path = store.root / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(StoreError, match=r"history\.jsonl:2: change 2 is missing"):
        store.history()


def test_every_change_follows_the_one_before_it(store: Store, put: Put, tmp_path: Path) -> None:
    activate_all(store, put)
    store.rollback("embedder")
    store.deactivate("embedder")
    for before, after in itertools.pairwise(store.history()):
        assert after.previous == before.id
