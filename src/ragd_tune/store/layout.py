"""Where everything lies under the store's root, its lock, its drafts, and the clean-up.

``adapters/<kind>/<id>/``, ``bases/``, ``views/<id>/``, ``records/<id>/``, ``runs/<id>/``,
``datasets/``, ``active.json``, ``history.jsonl``, ``names.json``, ``looks.jsonl``; and ``tmp/``,
where nothing is worth keeping but the draft of a process that still lives.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from ragd_tune.errors import StoreError
from ragd_tune.store import files

PATIENCE = 120.0
"""Seconds to wait for another process that holds the store."""


def default_home() -> Path:
    """Return ``$RAGD_TUNE_HOME``, else ``~/.ragd/tune``."""
    named = os.environ.get("RAGD_TUNE_HOME")
    return Path(named).expanduser() if named else Path.home() / ".ragd" / "tune"


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one store; making one touches nothing."""

    root: Path

    @property
    def adapters(self) -> Path:
        """Committed adapters, by kind and content id."""
        return self.root / "adapters"

    @property
    def scratch(self) -> Path:
        """Drafts, and what is on its way in or out."""
        return self.root / "tmp"

    @property
    def active(self) -> Path:
        """Which adapter serves each slot."""
        return self.root / "active.json"

    @property
    def history(self) -> Path:
        """Every activation and rollback, in order."""
        return self.root / "history.jsonl"

    @property
    def names(self) -> Path:
        """Names that users gave, and the ids behind them."""
        return self.root / "names.json"

    @property
    def looks(self) -> Path:
        """Every look at a test set."""
        return self.root / "looks.jsonl"

    def adapter(self, kind: str, content_id: str) -> Path:
        """Return the folder of a committed adapter."""
        return self.adapters / kind / content_id

    def records(self, content_id: str) -> Path:
        """Return the folder of an adapter's records."""
        return self.root / "records" / content_id

    def view(self, content_id: str) -> Path:
        """Return where the folder that ragd can load is generated for an adapter."""
        return self.root / "views" / content_id

    def replace(self, path: Path, data: bytes) -> None:
        """Replace one file of the store by ``data`` in one step."""
        files.write_atomic(path, data, self.scratch)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store alone; what a dead process left half-done is put right first.

        :raises StoreError: another process holds it for too long, or the disk refuses.
        """
        with readable_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                with _lock(self.root / ".lock", PATIENCE):
                    self._sweep()
                    yield
            except filelock.Timeout as error:
                raise StoreError(
                    f"{self.root} has been locked by another process for {PATIENCE:.0f} s",
                    mend="wait until the other ragd-tune command has ended, then try again",
                ) from error

    def new_draft(self) -> tuple[Path, filelock.BaseFileLock]:
        """Make a private, empty folder on the store's disk, and the held lock that keeps it.

        A draft whose lock is free has no living owner: whoever takes the store's lock next removes
        it. Drafts are born under the store's lock, so that nobody meets one half-born.
        """
        folder = self.scratch / f"draft-{files.token()}"
        alive = _lock(_alive(folder), 0)
        with self.locked():
            files.make_dir(self.scratch)
            alive.acquire()
            files.make_dir(folder)
        return folder, alive

    def end_draft(self, folder: Path, alive: filelock.BaseFileLock) -> None:
        """Remove what is left of a draft, and its lock."""
        with readable_errors(folder):
            if folder.exists():
                files.remove_tree(folder)
        alive.release()
        # Windows keeps the file while somebody looks at it; the next sweep takes it.
        with contextlib.suppress(OSError):
            _alive(folder).unlink()

    def put(self, draft: Path, home: Path) -> None:
        """Move ``draft`` to ``home``; what is there is first put aside, and dropped at the end.

        Hold the lock. A crash in between is put right by the next holder: either ``home`` is new,
        or what was put aside comes back.
        """
        if not (files.is_link(home) or home.exists()):
            files.move_dir(draft, home)
            return
        aside = self.scratch / f"aside-{home.parent.name}~{home.name}"
        files.rename(home, aside)
        files.move_dir(draft, home)
        files.remove_tree(aside)

    def drop(self, path: Path) -> None:
        """Take ``path`` out of the store in one step, then remove it. Hold the lock."""
        trash = self.scratch / f"trash-{files.token()}"
        files.make_dir(self.scratch)
        files.rename(path, trash)
        files.sync_dir(path.parent)
        files.remove_tree(trash)

    def _sweep(self) -> None:
        """Clean up after dead processes. Whoever holds the lock owns all of ``tmp/`` but drafts."""
        for entry in sorted(self.scratch.iterdir()) if self.scratch.is_dir() else ():
            if entry.name.startswith("draft-"):
                self._sweep_draft(entry)
            elif entry.name.startswith("aside-"):
                kind, _, content_id = entry.name.removeprefix("aside-").partition("~")
                self._restore(entry, self.adapter(kind, content_id))
            else:
                files.remove_tree(entry)

    def _restore(self, aside: Path, home: Path) -> None:
        if home.exists():
            files.remove_tree(aside)
        else:
            files.move_dir(aside, home)

    def _sweep_draft(self, entry: Path) -> None:
        """Remove a draft that no living process holds."""
        folder = entry.with_suffix("")
        lock = _lock(_alive(folder), 0)
        try:
            lock.acquire()
        except filelock.Timeout:
            return
        self.end_draft(folder, lock)


def _alive(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _lock(path: Path, patience: float) -> filelock.BaseFileLock:
    # Not bound to a thread: a draft may be finished by another thread than the one that began it.
    return filelock.FileLock(path, timeout=patience, thread_local=False, poll_interval=0.01)


@contextlib.contextmanager
def readable_errors(place: Path) -> Iterator[None]:
    """Turn a full disk, missing rights or a file in use into an error with a mend."""
    try:
        yield
    except filelock.Timeout:
        raise
    except OSError as error:
        raise StoreError(
            f"{error.filename or place}: {error.strerror or error}",
            mend="check the disk's free space and rights, close what uses the file, and try again",
        ) from error
