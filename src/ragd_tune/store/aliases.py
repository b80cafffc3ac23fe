"""Names that users give to adapters: kept in ``names.json``, never in a manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from ragd_tune.errors import StoreError, UsageError
from ragd_tune.store import files
from ragd_tune.store.journal import to_json
from ragd_tune.store.layout import Layout
from ragd_tune.store.manifest import check_schema

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIKE_AN_ID = re.compile(r"[0-9a-f]{6,}")


def check(name: str) -> str:
    """Return ``name`` if it can be one.

    :raises UsageError: it cannot; says why.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{ascii(name)[:80]} cannot be a name",
            mend="use up to 64 letters, digits, '.', '_' and '-', a letter or digit first",
        )
    if _LIKE_AN_ID.fullmatch(name):
        raise UsageError(
            f"{name!r} could be the start of an id", mend="add a letter that is not hexadecimal"
        )
    return name


def read(layout: Layout) -> dict[str, str]:
    """Return ids by name.

    :raises StoreError: the file is damaged, or newer than this version.
    """
    raw = files.read_bytes(layout.names)
    if raw is None:
        return {}
    check_schema(raw, str(layout.names))
    try:
        value = json.loads(raw)
    except ValueError:
        value = None
    found = value.get("names") if isinstance(value, dict) else None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise StoreError(
            f"{layout.names}: names: not ids by name",
            mend="move the file away; adapters are still found by their ids",
        )
    return found


def by_id(layout: Layout) -> dict[str, tuple[str, ...]]:
    """Return sorted names by id."""
    found: dict[str, tuple[str, ...]] = {}
    for name, content_id in sorted(read(layout).items()):
        found[content_id] = (*found.get(content_id, ()), name)
    return found


def assign(layout: Layout, content_id: str, names: Iterable[str]) -> None:
    """Let ``names`` mean this adapter from now on. Hold the lock."""
    old = read(layout)
    _write(layout, old, {**old, **dict.fromkeys(names, content_id)})


def drop(layout: Layout, content_id: str) -> None:
    """Forget every name of an adapter. Hold the lock."""
    old = read(layout)
    _write(layout, old, {name: one for name, one in old.items() if one != content_id})


def _write(layout: Layout, old: dict[str, str], new: dict[str, str]) -> None:
    if new != old:
        layout.replace(layout.names, to_json({"schema": 1, "names": new}))
