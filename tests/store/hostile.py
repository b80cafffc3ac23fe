"""What is done to a sound adapter so that it has to be refused, and a look at what is left then."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ragd_tune.store.manifest import FILE

Spoil = Callable[[Path], None]
Snapshot = Callable[[Path], dict[str, str]]
WEIGHTS = "adapter_model.safetensors"
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="such files are POSIX's")


def put(name: str, data: bytes | str = b"{}") -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    return spoil


def as_json(name: str, value: object) -> Spoil:
    return put(name, json.dumps(value))


def header(entries: object, body: int | bytes = 0, length: int | None = None) -> Spoil:
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    size = struct.pack("<Q", len(raw) if length is None else length)
    return put(WEIGHTS, size + raw + (bytes(body) if isinstance(body, int) else body))


def tensor(begin: int, end: int, dtype: str = "U8", shape: object = None) -> dict[str, object]:
    wanted = [end - begin] if shape is None else shape
    return {"dtype": dtype, "shape": wanted, "data_offsets": [begin, end]}


def weights(value: float, dtype: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        save_file({"w": np.array([1.0, value], dtype)}, folder / WEIGHTS)

    return spoil


def link(name: str, to: str) -> Spoil:
    return lambda folder: (folder / name).symlink_to(to)


def hard_link(folder: Path) -> None:
    outside = folder.parent / "secret.json"
    outside.write_text("{}", encoding="utf-8")
    (folder / "notes.json").hardlink_to(outside)


def manifest(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        value = json.loads((folder / FILE).read_bytes())
        change(value)
        (folder / FILE).write_text(json.dumps(value), encoding="utf-8")

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


PICKLE = pickle.dumps(Bomb(), protocol=4)


@contextlib.contextmanager
def untouched(folder: Path, snapshot: Snapshot) -> Any:
    before = snapshot(folder)
    yield
    assert snapshot(folder) == before
