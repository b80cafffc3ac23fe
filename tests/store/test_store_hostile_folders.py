"""Folders that are no adapter's, by what lies in them or by what their manifest says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.store.hostile import (
    WEIGHTS,
    Snapshot,
    Spoil,
    both,
    hard_link,
    link,
    manifest,
    needs_posix,
    put,
    untouched,
)

from ragd_tune.errors import StoreError
from ragd_tune.store import Limits, Store
from ragd_tune.store.manifest import FILE


# Refused for what they say, or for what lies there that no manifest can describe.
def move_manifest_out(folder: Path) -> None:
    (folder / FILE).rename(folder.parent / "m.json")


SHAPE: dict[str, tuple[Spoil, str]] = {
    "a link to a file outside": (link("notes.json", "/etc/hosts"), "notes.json: a link, to"),
    "a link to a folder outside": (link("sub", ".."), "sub: a link, to '..'"),
    "a dangling link": (link("notes.json", "nowhere"), "notes.json: a link, to 'nowhere'"),
    "a linked manifest": (
        both(move_manifest_out, link(FILE, "../m.json")),
        f"{FILE}: a link",
    ),
    "a hard link": (hard_link, "notes.json: a hard link"),
    "too many files": (
        both(*(put(f"{number}.txt") for number in range(30))),
        "more than 20 files and folders",
    ),
    "too much": (put("big.txt", b"." * 100_001), "more than 100,000 bytes"),
    "a reserved name": (put("aux.json"), "'aux.json' is a reserved name on Windows"),
    "names that collide": (both(put("A.json"), put("a.json")), "where case does not count"),
    "letters beyond ASCII": (put("\u202egnp.json"), "holds characters that not every system"),
    "no manifest": (lambda f: (f / FILE).unlink(), "adapter holds no ragd-tune.json"),
    "a manifest that is no JSON": (put(FILE, "{"), f"adapter/{FILE}: manifest: Invalid JSON"),
    "a huge manifest": (put(FILE, b" " * 5_000_000), "more than"),
    "a newer manifest": (
        manifest(lambda value: value.update(schema=2, unheard="of")),
        "a newer version of ragd-tune needed",
    ),
    "an unknown field": (manifest(lambda value: value.update(evil=1)), f"{FILE}: evil: Extra"),
    "a missing field": (manifest(lambda value: value.pop("kind")), f"{FILE}: kind: Field required"),
    "a wrong type": (
        manifest(lambda value: value["base"].update(fingerprint=1)),
        f"{FILE}: base.fingerprint: Input should be a valid string",
    ),
    "a kind that leads out": (
        manifest(lambda value: value.update(kind="../../x")),
        f"{FILE}: kind: String should match pattern",
    ),
    "a listed file that leads out": (
        manifest(lambda value: value["files"].update({"../x": {"sha256": "0" * 64, "size": 0}})),
        "the name leads out of the folder",
    ),
    "a wrong hash": (
        manifest(lambda value: value["files"][WEIGHTS].update(sha256="0" * 64)),
        f"{WEIGHTS} wrong hash",
    ),
    "a wrong size": (
        manifest(lambda value: value["files"][WEIGHTS].update(size=7)),
        f"{WEIGHTS} has 184 bytes, ragd-tune.json says 7",
    ),
    "a missing file": (
        lambda f: (f / "adapter_config.json").unlink(),
        "adapter_config.json is mis",
    ),
    "an extra file": (put("extra.json"), f"extra.json is not in {FILE}"),
}


@pytest.mark.parametrize("case", SHAPE)
@needs_posix
def test_a_folder_of_a_wrong_shape_is_refused_by_name_and_leaves_no_trace(
    case: str, guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    spoil, message = SHAPE[case]
    spoil(adapter)
    limits = Limits(files=20, total=100_000) if "too" in case else Limits()
    with untouched(tmp_path, snapshot), pytest.raises(StoreError) as told:
        guarded.import_(adapter, limits=limits)
    assert message in told.value.message


@needs_posix
def test_a_pipe_is_refused_before_anybody_reads_from_it(
    guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    os.mkfifo(adapter / "notes.json")
    with untouched(tmp_path, snapshot), pytest.raises(StoreError, match="device, pipe or socket"):
        guarded.import_(adapter)
