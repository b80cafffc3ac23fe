"""Fingerprints that were computed before, in ``fingerprints.json`` in the store's home.

It only saves time: damaged, unwritable or stale, it is passed over and made again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import tempfile
import time
from pathlib import Path

from ragd_tune.models import folder

_log = logging.getLogger(__name__)
FILE = "fingerprints.json"
_SCHEMA = 1
_MOST = 500
_SETTLED = 2_000_000_000
"""Nanoseconds. A file may change twice within one tick of a coarse clock (FAT: 2 s) unseen."""

Stamp = list[list[str | int]]


def stamp(path: Path) -> Stamp:
    """Return name, size and time of change (ns) of every file that counts; empty if unknown."""
    try:
        found: Stamp = []
        for one in folder.paths(path):
            stat = one.stat()
            found.append([one.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns])
    except OSError:
        return []
    return found


def look(home: Path, path: Path, wanted: Stamp) -> str | None:
    """Return the fingerprint that is known for these very files, or None."""
    entry = _read(home).get(str(path))
    if not isinstance(entry, dict) or entry.get("files") != wanted:
        return None
    known = entry.get("fingerprint")
    sound = isinstance(known, str) and re.fullmatch(r"[0-9a-f]{64}", known)
    return str(known) if sound else None


def keep(home: Path, path: Path, files: Stamp, fingerprint: str) -> None:
    """Remember a fingerprint, unless the files are so young that they may change unseen."""
    newest = max(int(entry[2]) for entry in files)
    if newest > time.time_ns() - _SETTLED:
        return
    known = {key: entry for key, entry in _read(home).items() if key != str(path)}
    kept = dict(list(known.items())[-_MOST + 1 :])
    kept[str(path)] = {"files": files, "fingerprint": fingerprint}
    try:
        _replace(home / FILE, json.dumps({"schema": _SCHEMA, "known": kept}))
    except OSError as error:
        _log.debug("%s was not written: %s", home / FILE, error)


def _read(home: Path) -> dict[str, object]:
    try:
        raw = json.loads((home / FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    known = raw.get("known") if isinstance(raw, dict) and raw.get("schema") == _SCHEMA else None
    return known if isinstance(known, dict) else {}


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".fingerprints-", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
