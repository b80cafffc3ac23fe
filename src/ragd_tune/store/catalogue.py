"""Reading the store: which adapters are there, what a reference means, what is not sound."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ragd_tune.errors import StoreError, TuneError, UsageError
from ragd_tune.store import activation, aliases, files, records
from ragd_tune.store.layout import Layout
from ragd_tune.store.manifest import Manifest

_log = logging.getLogger(__name__)
SHORT = 12
"""Letters of a content id that people see."""
_LEAST = 6
_ID = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]+")
_SEE = "'ragd-tune adapters list' shows what is there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A committed adapter: its content id, its folder, what it is, and what users call it."""

    id: str
    path: Path
    manifest: Manifest
    names: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Its kind of model."""
        return self.manifest.kind

    @property
    def shown(self) -> str:
        """Its first name, else its short id."""
        return self.names[0] if self.names else self.id[:SHORT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in the store that is not sound: where, and what."""

    where: str
    problem: str


def folders(layout: Layout, kind: str | None = None) -> list[Path]:
    """Return the folders of all committed adapters."""
    found = layout.adapters.glob(f"{kind or '*'}/*")
    return sorted(path for path in found if _ID.fullmatch(path.name))


def entries(layout: Layout, kind: str | None = None) -> list[Entry]:
    """Return every adapter whose manifest can be read; others are logged and left out."""
    found = []
    for path in folders(layout, kind):
        try:
            found.append(_entry(layout, path))
        except TuneError as error:
            _log.warning("adapter %s cannot be read: %s", path.name[:SHORT], error.message)
    return sorted(found, key=lambda entry: (entry.kind, entry.shown, entry.id))


def find(layout: Layout, ref: str, kind: str | None = None) -> Entry:
    """Return the adapter that ``ref`` means.

    :raises StoreError: there is none, it is of another kind, or its manifest is damaged.
    :raises UsageError: several ids start so; the message lists them.
    """
    path = resolve(layout, ref)
    if kind is not None and path.parent.name != kind:
        raise StoreError(f"{ref} is a {path.parent.name}, not a {kind}", mend=_SEE)
    return _entry(layout, path)


def resolve(layout: Layout, ref: str) -> Path:
    """Return the folder that ``ref`` means: a name, an id, or its first six letters or more.

    :raises StoreError: there is none.
    :raises UsageError: several ids start so; the message lists them.
    """
    wanted = aliases.read(layout).get(ref, ref)
    if _HEX.fullmatch(wanted) is None or len(wanted) < _LEAST:
        raise StoreError(f"no adapter is called {ref!r}", mend=_SEE)
    found = [path for path in folders(layout) if path.name.startswith(wanted)]
    if not found:
        raise StoreError(f"no adapter {ref!r} in {layout.root}", mend=_SEE)
    if len(found) > 1:
        listed = ", ".join(f"{path.name[: len(wanted) + 4]} ({path.parent.name})" for path in found)
        raise UsageError(f"{ref!r} is ambiguous: {listed}", mend="add letters of the id")
    return found[0]


def _entry(layout: Layout, path: Path) -> Entry:
    names = aliases.by_id(layout).get(path.name, ())
    return Entry(id=path.name, path=path, manifest=Manifest.load(path), names=names)


def check_sound(path: Path) -> Manifest:
    """Return the manifest of a committed adapter, after reading every byte of it.

    :raises StoreError: it is damaged, or is not what the name of its folder says.
    """
    manifest = Manifest.load(path)
    if (manifest.kind, manifest.content_id) != (path.parent.name, path.name):
        raise StoreError(
            f"{path.name[:SHORT]}: the manifest is that of another adapter",
            mend="remove it, then import or train it again",
        )
    manifest.verify(path)
    return manifest


def is_sound(path: Path) -> bool:
    """Say whether a whole, undamaged adapter is at ``path``."""
    if files.is_link(path) or not path.is_dir():
        return False
    try:
        check_sound(path)
    except (TuneError, OSError):
        return False
    return True


def problems(layout: Layout, only: Path | None = None) -> Iterator[Finding]:
    """Yield what is not sound: about one adapter, or about the whole store."""
    for path in folders(layout) if only is None else [only]:
        yield from _failing(path.name[:SHORT], partial(check_sound, path))
    if only is None:
        yield from _state(layout)


def _state(layout: Layout) -> Iterator[Finding]:
    yield from _failing("names.json", partial(aliases.read, layout))
    yield from _failing("looks.jsonl", partial(records.read_looks, layout))
    yield from _failing("history.jsonl", partial(activation.read_history, layout))
    for folder in sorted(layout.root.glob("records/*")):
        read = partial(records.read_records, layout, folder.name)
        yield from _failing(folder.name[:SHORT], read)
    yield from _failing("active.json", partial(_check_active, layout))


def _check_active(layout: Layout) -> None:
    for slot, entry in activation.read_active(layout).items():
        if entry.id and entry.kind and not layout.adapter(entry.kind, entry.id).is_dir():
            raise StoreError(f"the active {slot}, {entry.id[:SHORT]}, is missing")


def _failing(where: str, check: Callable[[], object]) -> Iterator[Finding]:
    try:
        check()
    except TuneError as error:
        yield Finding(where=where, problem=error.message)
    except OSError as error:
        yield Finding(where=where, problem=f"{error.filename}: {error.strerror}")
