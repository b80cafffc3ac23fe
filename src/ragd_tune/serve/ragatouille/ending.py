"""What ending RAGatouille takes: the processes that it started, and the locks that they leave."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has the one, and it kills

STALE = 3600.0
"""Seconds: a lock that is older was left by a process that is gone. A file compiles in minutes."""


def kill(leader: int) -> None:
    """End a process and everything that it started."""
    for one in (*session(leader), leader):
        with contextlib.suppress(OSError):
            os.kill(one, KILL)


def session(leader: int) -> list[int]:
    """Return the processes that a process started, and those that they did: they hold its pipes.

    A group would not do: ninja gives each compiler a group of its own. Where there is no ``/proc``,
    the answer is empty, and what is left ends by itself.
    """
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # pid (name) state parent group session …: the name may hold blanks and brackets
            if int(place.read_text().rpartition(")")[2].split()[3]) == leader:
                found.append(int(place.parent.name))
    return found


def unlock(extensions: Path, *, since: float = 0.0, until: float = float("inf")) -> list[Path]:
    """Remove the locks of compilations that were ended, and return them.

    PyTorch holds ``<extension>/lock`` while it compiles, and waits for one that is there, for ever:
    it does not ask whether who made it still lives.

    :param since: leave locks alone that were made before this time, in seconds of the epoch.
    :param until: likewise after it.
    """
    removed = []
    for lock in extensions.glob("*/lock"):
        with contextlib.suppress(OSError):
            if since <= lock.stat().st_mtime <= until:
                lock.unlink()
                removed.append(lock)
    return removed
