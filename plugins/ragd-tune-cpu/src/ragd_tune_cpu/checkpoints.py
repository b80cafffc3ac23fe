"""Checkpoints that survive a kill at any instant: a marker, written last, makes one whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ragd_tune.plan import TrainPlan

log = logging.getLogger(__name__)

STATE = "state.pt"
MARKER = "complete.json"
SCHEDULE = "schedule.json"
KEPT = 2


def folder_of(plan: TrainPlan) -> Path:
    """Return the folder of the run's checkpoints."""
    return plan.out.parent / "checkpoints"


@dataclass(kw_only=True)
class Progress:
    """Where a run stands: what a resumed run must know beside weights and optimizer."""

    step: int = 0
    seconds: float = 0.0
    rows_seen: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    dev_losses: list[tuple[int, float]] = field(default_factory=list)


def trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that training changes, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def write(
    plan: TrainPlan,
    progress: Progress,
    model: torch.nn.Module,
    adamw: torch.optim.Optimizer,
    random_state: dict[str, torch.Tensor],
) -> Path:
    """Keep a checkpoint of ``progress.step`` and forget all but the last two."""
    root = folder_of(plan)
    home, draft = root / f"step-{progress.step:08d}", root / f"part-{progress.step:08d}"
    for stale in (home, draft):
        shutil.rmtree(stale, ignore_errors=True)
    draft.mkdir(parents=True)
    state = {
        "weights": {name: p.detach().cpu() for name, p in trained(model).items()},
        "optimizer": adamw.state_dict()["state"],
        "random": random_state,
        "progress": {
            "step": progress.step,
            "seconds": progress.seconds,
            "rows_seen": progress.rows_seen,
            "losses": progress.losses,
            "dev_losses": progress.dev_losses,
        },
    }
    with (draft / STATE).open("wb") as file:
        torch.save(state, file)
        _to_disk(file.fileno())
    draft.replace(home)
    _sync_folder(root)
    _marker(home, plan)
    _forget(root)
    return home


def _marker(home: Path, plan: TrainPlan) -> None:
    """Write the marker last: a checkpoint without a whole one does not exist."""
    path = home / STATE
    made = {"plan": plan.id, "bytes": path.stat().st_size, "sha256": _sha256(path)}
    put(home / MARKER, made)


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


def last(plan: TrainPlan) -> dict[str, Any] | None:
    """Return the state of the newest whole checkpoint of this very plan, or None."""
    for path in _whole(plan):
        with contextlib.suppress(Exception):  # a damaged one is passed over for the one before
            state: dict[str, Any] = torch.load(path / STATE, map_location="cpu", weights_only=True)
            return state
        log.warning("%s cannot be read and is passed over", path)
    return None


def _whole(plan: TrainPlan) -> Iterator[Path]:
    for path in sorted(folder_of(plan).glob("step-*"), reverse=True):
        marker, state = get(path / MARKER), path / STATE
        if marker is None or not state.is_file() or marker.get("plan") != plan.id:
            continue
        if state.stat().st_size == marker.get("bytes") and _sha256(state) == marker.get("sha256"):
            yield path


def restore(
    state: dict[str, Any], model: torch.nn.Module, adamw: torch.optim.Optimizer
) -> Progress:
    """Put weights and optimizer back and return where the run stood."""
    with torch.no_grad():
        for name, parameter in trained(model).items():
            parameter.copy_(state["weights"][name])
    adamw.load_state_dict(
        {"state": state["optimizer"], "param_groups": adamw.state_dict()["param_groups"]}
    )
    return Progress(**state["progress"])
