"""The only place where the store touches the disk for writing.

Every operation that changes the store is one of the small functions marked ``@_operation``. Each
calls :func:`fault` before and after itself, so that a test can kill the process at every single
point of a commit or an activation and look at what is left. Without ``RAGD_TUNE_FAULT`` in the
environment, :func:`fault` does nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
WINDOWS = os.name == "nt"
_BLOCK = 1 << 20


def _no_fault(point: str) -> None:
    """Let the operation pass."""


def die_at(number: int) -> Callable[[str], None]:
    """Return a hook that kills this process, as ``kill -9`` does, at the ``number``-th point."""
    left = number

    def hook(point: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            # Windows has no SIGKILL; there os.kill ends the process at once whatever the signal.
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    return hook


_hook: Callable[[str], None] = _no_fault
if _number := os.environ.get("RAGD_TUNE_FAULT"):
    _hook = die_at(int(_number))


def inject(hook: Callable[[str], None] | None) -> None:
    """Call ``hook`` at every point from now on; ``None`` takes it away again."""
    global _hook
    _hook = hook or _no_fault


def fault(point: str) -> None:
    """Mark a point at which the process may die: ``before rename`` or ``after rename``."""
    _hook(point)


def _operation(act: Callable[_P, _R]) -> Callable[_P, _R]:
    """Put a fault point on either side of ``act``."""

    @functools.wraps(act)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        fault(f"before {act.__name__}")
        result = act(*args, **kwargs)
        fault(f"after {act.__name__}")
        return result

    return guarded


def _patiently(act: Callable[[], _R]) -> _R:
    """Try again on Windows, where a reader or a virus scanner blocks a rename for a moment."""
    for delay in (0.01, 0.03, 0.1, 0.3, 1.0) if WINDOWS else ():
        try:
            return act()
        except PermissionError:
            time.sleep(delay)
    return act()


@_operation
def make_dir(path: Path) -> None:
    """Make a folder and its parents; one that is there is left alone."""
    path.mkdir(parents=True, exist_ok=True)


@_operation
def write(path: Path, data: bytes) -> None:
    """Write a file that nobody else knows yet, down to the disk."""
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


@_operation
def sync_file(path: Path) -> None:
    """Bring a file's bytes to the disk."""
    # Windows refuses to flush what was opened for reading only.
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@_operation
def sync_dir(path: Path) -> None:
    """Bring a folder's entries to the disk; Windows cannot open folders, and needs none of it."""
    if WINDOWS:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@_operation
def rename(source: Path, target: Path) -> None:
    """Rename a file over ``target``, or a folder to a name that is free."""
    _patiently(lambda: source.replace(target))


@_operation
def unlink(path: Path) -> None:
    """Remove a file or a link."""
    _patiently(lambda: path.unlink(missing_ok=True))


@_operation
def rmdir(path: Path) -> None:
    """Remove an empty folder."""
    _patiently(path.rmdir)


@_operation
def copy(source: Path, target: Path) -> None:
    """Copy the bytes of a file, never its links or rights."""
    with source.open("rb") as old, target.open("xb") as new:
        shutil.copyfileobj(old, new, _BLOCK)


@_operation
def truncate(path: Path, size: int) -> None:
    """Cut a file off after ``size`` bytes."""
    os.truncate(path, size)


@_operation
def append(path: Path, line: bytes) -> None:
    """Add bytes to the end of a file and bring them to the disk."""
    with path.open("ab") as out:
        out.write(line)
        out.flush()
        os.fsync(out.fileno())


def token() -> str:
    """Return a name that no other process picks."""
    return secrets.token_hex(8)


def remove_tree(path: Path) -> None:
    """Remove whatever is at ``path``, links themselves and not what they lead to."""
    if path.is_dir() and not is_link(path):
        for entry in sorted(path.iterdir()):
            remove_tree(entry)
        rmdir(path)
    else:
        unlink(path)


def is_link(path: Path) -> bool:
    """Say whether ``path`` is a symlink, or on Windows a junction."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    # FILE_ATTRIBUTE_REPARSE_POINT; Path.is_junction needs Python 3.12.
    return path.is_symlink() or bool(getattr(found, "st_file_attributes", 0) & 0x400)


def sync_tree(folder: Path) -> None:
    """Bring every file and folder below ``folder`` to the disk, leaves first."""
    for entry in sorted(folder.iterdir()):
        sync_tree(entry) if entry.is_dir() else sync_file(entry)
    sync_dir(folder)


def move_dir(source: Path, target: Path) -> None:
    """Rename a folder into place and bring the new name to the disk."""
    make_dir(target.parent)
    rename(source, target)
    sync_dir(target.parent)


def write_atomic(path: Path, data: bytes, scratch: Path) -> None:
    """Replace ``path`` by ``data`` in one step; ``scratch`` is a folder on the same disk."""
    make_dir(path.parent)
    make_dir(scratch)
    draft = scratch / f"write-{token()}"
    try:
        write(draft, data)
        rename(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            unlink(draft)
        raise
    sync_dir(path.parent)


def read_bytes(path: Path) -> bytes | None:
    """Return a file's bytes, or ``None`` where there is no file."""
    try:
        return _patiently(path.read_bytes)
    except FileNotFoundError:
        return None
