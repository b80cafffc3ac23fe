"""Checkpoints that survive a kill at any instant: a marker, written last, makes one whole."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ragd_tune.plan import TrainPlan

log = logging.getLogger(__name__)

PROGRESS = "progress.json"
MARKER = "complete.json"
SCHEDULE, BOUND, BEST = "schedule.json", "bound.json", "best"
"""What lies beside checkpoints and is none: the steps to take, the time for them, the weights of
the lowest held-out loss. Each may be there before the first one."""
KEPT = 2
"""Checkpoints that stay: the older one stands in for the newest where that cannot be read."""


def folder_of(plan: TrainPlan) -> Path:
    """Return the folder of the run's checkpoints."""
    return plan.out.parent / "checkpoints"


def left(folder: Path) -> list[Path]:
    """Return what a run left in its folder of checkpoints to go on from, in a format of any."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if not path.name.startswith((SCHEDULE, BOUND, BEST)))


@dataclass(kw_only=True)
class Progress:
    """Where a run stands: what a resumed run must know beside weights and optimizer."""

    step: int = 0
    seconds: float = 0.0
    rows_seen: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    dev_losses: list[tuple[int, float]] = field(default_factory=list)


def write(plan: TrainPlan, progress: Progress, save: Callable[[Path], None]) -> Path:
    """Keep a checkpoint of ``progress.step`` and forget all but the last two.

    :param save: writes weights, optimizer and random state into the folder that it is given.
    """
    root = folder_of(plan)
    home, draft = root / f"step-{progress.step:08d}", root / f"part-{progress.step:08d}"
    for stale in (home, draft):
        shutil.rmtree(stale, ignore_errors=True)
    draft.mkdir(parents=True)
    save(draft)
    (draft / PROGRESS).write_text(json.dumps(asdict(progress)), encoding="utf-8")
    for path in _files(draft):
        with path.open("rb+") as file:
            _to_disk(file.fileno())
    draft.replace(home)
    _sync_folder(root)
    _marker(home, plan)
    _forget(root)
    return home


def _files(home: Path) -> list[Path]:
    return sorted(p for p in home.iterdir() if p.is_file() and not p.name.startswith(MARKER))


def _marker(home: Path, plan: TrainPlan) -> None:
    """Write the marker last: a checkpoint without a whole one does not exist."""
    files = {path.name: _sha256(path) for path in _files(home)}
    put(home / MARKER, {"plan": plan.id, "files": files})


def put(path: Path, value: object) -> None:
    """Write a small JSON file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        _to_disk(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def get(path: Path) -> dict[str, Any] | None:
    """Read what :func:`put` wrote, or None if there is nothing whole."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _to_disk(descriptor: int) -> None:
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders; its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget(root: Path) -> None:
    whole = sorted(path for path in root.glob("step-*") if (path / MARKER).is_file())
    keep = set(whole[-KEPT:])
    for path in (*root.glob("step-*"), *root.glob("part-*")):
        if path not in keep:
            shutil.rmtree(path, ignore_errors=True)


def last(plan: TrainPlan, load: Callable[[Path], None]) -> Progress | None:
    """Have ``load`` read the newest whole checkpoint of this very plan; return where it stood.

    One that cannot be read is passed over for the one before; None if there is none.
    """
    for path in whole(plan):
        try:
            progress = read_progress(path)
            load(path)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, an older one may be sound
            log.warning("%s cannot be read and is passed over", path)
        else:
            return progress
    return None


def read_progress(home: Path) -> Progress:
    """Return where the run stood at the checkpoint in ``home``."""
    raw = json.loads((home / PROGRESS).read_text(encoding="utf-8"))
    for name in ("losses", "dev_losses"):
        raw[name] = [(int(step), float(loss)) for step, loss in raw[name]]
    return Progress(**raw)


def whole(plan: TrainPlan) -> Iterator[Path]:
    """Yield the folders of the plan's whole checkpoints, the newest first."""
    for home in sorted(folder_of(plan).glob("step-*"), reverse=True):
        marker = get(home / MARKER)
        if marker is None or marker.get("plan") != plan.id:
            continue
        if marker.get("files") == {path.name: _sha256(path) for path in _files(home)}:
            yield home
