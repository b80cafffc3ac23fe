"""Kill one operation of the store at every point, and look at what is left.

``crash_driver.py OPERATION FOLDER`` prints, as JSON, how many points there were and what was wrong
after which of them. ``crash_driver.py --once OPERATION STORE`` runs the operation once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ragd_tune.errors import TuneError
from ragd_tune.store import Manifest, Store, files

FIELDS = {
    "kind": "bi-encoder",
    "objective": "contrastive",
    "tuning": "lora",
    "format": "peft",
    "base": {"name": "base", "fingerprint": "f" * 64},
    "dimension": 1,
}
HEADER = b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'


def commit(store: Store, value: int, name: str) -> str:
    draft = store.draft()
    weights = len(HEADER).to_bytes(8, "little") + HEADER + bytes([value])
    (draft / "model.safetensors").write_bytes(weights)
    (draft / "sub").mkdir()
    (draft / "sub" / "config.json").write_text("{}")
    return store.commit(draft, Manifest.build(draft, **FIELDS), [name]).name


def prepare(store: Store) -> None:
    """Three adapters; the first and the second were activated, one after the other."""
    for value, name in enumerate(("one", "two", "three")):
        store.record(commit(store, value, name), "proof", {"passed": True})
    store.activate("one", "embedder")
    store.activate("two", "embedder")
    store.look("test", store.get("one").id)


def damage(store: Store) -> None:
    path = store.get("three").path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


def forget_last_line(store: Store) -> None:
    """As if a process had died between ``active.json`` and ``history.jsonl``, in a torn line."""
    path = store.root / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:9])


def pack(store: Store) -> None:
    store.export("three", store.root.parent / f"{store.root.name}.tar")
    store.remove("three")


def nothing(store: Store) -> None:
    """Leave the store as it is."""


Act = Callable[[Store], object]
OPERATIONS: dict[str, tuple[Act, Act]] = {
    "commit": (nothing, lambda store: commit(store, 9, "nine")),
    "commit over an equal one": (nothing, lambda store: commit(store, 2, "other")),
    "commit over a damaged one": (damage, lambda store: commit(store, 2, "three")),
    "activate": (nothing, lambda store: store.activate("three", "embedder")),
    "activate after a torn line": (
        forget_last_line,
        lambda store: store.activate("three", "embedder"),
    ),
    "rollback": (nothing, lambda store: roll_back_to(store, "one")),
    "deactivate": (nothing, lambda store: store.deactivate("embedder")),
    "remove": (nothing, lambda store: remove(store, "three")),
    "import": (pack, lambda store: store.import_(archive_of(store), names=["three"])),
    "record": (nothing, lambda store: store.record(store.get("one").id, "note", {"a": 1})),
    "look": (nothing, lambda store: store.look("test", store.get("two").id)),
}


def archive_of(store: Store) -> Path:
    return store.root.parent.parent / "template.tar"


def roll_back_to(store: Store, name: str) -> None:
    """Roll back once, also when it is repeated after a crash that came too late to stop it."""
    entry = store.active("embedder")
    if entry is None or entry.id != store.get(name).id:
        store.rollback("embedder")


def remove(store: Store, name: str) -> None:
    if any(name in entry.names for entry in store.list()):
        store.remove(name)


def state(store: Store) -> dict[str, object]:
    """What a user can see of a store, in parts that change together.

    First of all it is verified, which also puts right what a dead process left.
    """
    findings = [finding.problem for finding in store.verify()]
    active = store.active("embedder")
    history = [(line.action, line.id, line.previous) for line in store.history()]
    if history and history[-1][1] != (active.id if active else None):
        raise TuneError("the history does not end with what is active")
    return {
        "adapters": sorted(entry.id for entry in store.list()),
        "names": sorted((name, entry.id) for entry in store.list() for name in entry.names),
        "activation": (active and active.id, history),
        "records": sorted(path.name for path in store.root.glob("records/*/*")),
        "looks": len(store.looks()),
        "findings": findings,
    }


def run(operation: str, home: Path, point: int) -> bool:
    """Run the operation in a process that dies at ``point``; say whether it came so far."""
    if not hasattr(os, "fork"):
        command = [sys.executable, __file__, "--once", operation, str(home)]
        environment = {**os.environ, "RAGD_TUNE_FAULT": str(point)}
        return subprocess.run(command, env=environment, check=False).returncode != 0
    child = os.fork()
    if child == 0:
        files.inject(files.die_at(point))
        OPERATIONS[operation][1](Store(home))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -9):
        raise AssertionError(f"{operation} ended with {code} instead of being killed")
    return code != 0


def check(home: Path, old: dict[str, object], new: dict[str, object], operation: str) -> str:
    """Return what is wrong with a store after a crash; empty if nothing is."""
    found = state(Store(home))
    for part, value in found.items():
        if value not in (old[part], new[part]):
            return f"{part} is neither old nor new: {value}"
    OPERATIONS[operation][1](Store(home))
    again = state(Store(home))
    counted = {"record": "records", "look": "looks"}.get(operation)
    for part, value in again.items():
        if value != new[part] and part != counted:
            return f"done again, {part} is not new: {value}"
    left = [path.name for path in (home / "tmp").iterdir()]
    return f"left behind: {left}" if left else ""


def crash_everywhere(operation: str, folder: Path, first: int = 0) -> dict[str, object]:
    """Crash at every point; with ``first``, in a store where it crashed at that point before."""
    template = folder / "template"
    prepare(Store(template))
    OPERATIONS[operation][0](Store(template))
    old, whole = _copy(template, folder / "old"), _copy(template, folder / "stores" / "new")
    OPERATIONS[operation][1](Store(whole))
    before, after = state(Store(old)), state(Store(whole))
    if first and not run(operation, template, first):
        raise AssertionError(f"{operation} has no point {first}")
    wrong: dict[str, str] = {}
    point = 0
    while True:
        point += 1
        home = _copy(template, folder / "stores" / str(point))
        if not run(operation, home, point):
            return {"points": point - 1, "wrong": wrong, "changed": before != after}
        try:
            problem = check(home, before, after, operation)
        except (TuneError, OSError) as error:
            problem = repr(error)
        if problem:
            wrong[str(point)] = problem


def _copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


if __name__ == "__main__":
    if sys.argv[1] == "--once":
        OPERATIONS[sys.argv[2]][1](Store(Path(sys.argv[3])))
    else:
        sys.stdout.write(
            json.dumps(crash_everywhere(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])))
        )
