"""Canonical JSON, and files of JSON lines that survive a crash in the middle of a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ragd_tune.errors import StoreError
from ragd_tune.plan import canonical
from ragd_tune.store import files


def to_json(value: object) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8.

    :raises StoreError: the value is not plain JSON (NaN and infinity are not).
    """
    try:
        return canonical(value)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"this value cannot be stored as JSON: {error}",
            mend="use strings, whole and finite numbers, lists and dictionaries",
        ) from error


def append_line(path: Path, line: bytes) -> None:
    """Append one line; a torn line that a crash left at the end is cut off first."""
    files.make_dir(path.parent)
    fresh = not path.exists()
    if not fresh and (torn := _torn(path)):
        files.truncate(path, path.stat().st_size - torn)
    files.append(path, line + b"\n")
    if fresh:
        files.sync_dir(path.parent)


def _torn(path: Path) -> int:
    """Return the number of bytes after the last line feed."""
    data = path.read_bytes()
    return len(data) - (data.rfind(b"\n") + 1)


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, line) of every whole line; a torn last one is left out."""
    data = files.read_bytes(path) or b""
    yield from enumerate(data.split(b"\n")[:-1], start=1)
