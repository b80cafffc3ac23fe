"""Switching ragd to another model and back: one atomic replace, with a way back byte for byte.

What is meant is written down first (``host/pending.json``, with the bytes of the configuration
before and after under ``host/kept/``), then done, then noted in ``host/changes.jsonl``. A process
that dies in between leaves the old configuration or the new one; the next command finishes.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import filelock
import pydantic
from pydantic import ConfigDict, Field, StringConstraints

from ragd_tune.errors import StoreError
from ragd_tune.store import Store, files
from ragd_tune.store.journal import append_line, read_lines, to_json
from ragd_tune.store.layout import readable_errors
from ragd_tune.store.manifest import check_schema, describe
from ragd_tune.store.records import now

_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Change(pydantic.BaseModel):
    """One change of ragd's configuration. ``before`` and ``after`` are sha256 of its bytes.

    ``adapter`` serves after it and ``previous`` before it; null is the model that ragd had by
    itself. ``undoes`` is the number of the change that a rollback takes back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    number: Annotated[int, Field(ge=1)]
    action: Literal["activate", "rollback"]
    config: str
    before: _Digest
    after: _Digest
    adapter: _Digest | None
    previous: _Digest | None
    forced: bool = False
    undoes: int | None = None
    at: str

    def to_bytes(self) -> bytes:
        """Return canonical JSON."""
        return to_json(self.model_dump(mode="json", by_alias=True))


class Switch:
    """The changes of ragd's configuration at ``config`` that are noted in ``store``."""

    def __init__(self, store: Store, config: Path) -> None:
        self._store = store
        # A configuration among somebody's dotfiles may be a link: what it leads to is changed.
        self.config = config.resolve()
        self._home = store.root / "host"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other ragd-tune processes off the host, and finish what a dead one began.

        :raises StoreError: another process is at it.
        """
        with readable_errors(self._home):
            files.make_dir(self._home)
        lock = filelock.FileLock(self._home / ".lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise StoreError(
                "another ragd-tune command is changing what ragd uses",
                mend="wait until it has ended, then try again",
            ) from error
        try:
            self.recover()
            yield
        finally:
            lock.release()

    def changes(self) -> list[Change]:
        """Return every change that was finished, the oldest first."""
        found = []
        for number, line in read_lines(self._home / "changes.jsonl"):
            found.append(_read(line, f"{self._home / 'changes.jsonl'}:{number}"))
        return found

    def trail(self) -> list[Change]:
        """Return the activations that no rollback has taken back, the oldest first."""
        trail: list[Change] = []
        for one in self.changes():
            if one.config != str(self.config):
                continue
            if one.action == "activate":
                trail.append(one)
            elif trail:
                trail.pop()
        return trail

    def in_force(self) -> Change | None:
        """Return the last activation that no rollback has taken back; None if there is none."""
        trail = self.trail()
        return trail[-1] if trail else None

    def kept(self, digest: str) -> bytes:
        """Return a configuration that was kept.

        :raises StoreError: it is gone or damaged.
        """
        path = self._home / "kept" / f"{digest}.yaml"
        raw = files.read_bytes(path)
        if raw is None or digest_of(raw) != digest:
            raise StoreError(
                f"{path}: the configuration that was kept is gone or damaged",
                mend=f"put {self.config} right by hand; see `ragd-tune host status`",
            )
        return raw

    def carry_out(
        self,
        before: bytes,
        after: bytes,
        *,
        adapter: str | None,
        previous: str | None,
        forced: bool = False,
        undoes: int | None = None,
    ) -> Change:
        """Put ``after`` in the place of ``before`` and change the store's active embedder with it.

        Hold :meth:`alone`. With ``undoes``, the store's last activation is rolled back; else
        ``adapter`` is activated.

        :raises StoreError: the configuration is not ``before`` any more; nothing has changed.
        """
        if files.read_bytes(self.config) != before:
            raise StoreError(
                f"{self.config} was changed meanwhile", mend="look at it, then try again"
            )
        change = Change(
            number=len(self.changes()) + 1, action="activate" if undoes is None else "rollback",
            config=str(self.config), before=digest_of(before), after=digest_of(after),
            adapter=adapter, previous=previous, forced=forced, undoes=undoes, at=now(),
        )  # fmt: skip
        with readable_errors(self._home):
            for raw in (before, after):
                self._keep(raw)
            self._write(self._home / "pending.json", change.to_bytes())
            self._finish(change)
        return change

    def finish(self) -> None:
        """Finish the change that a dead process began, if there is one.

        :raises StoreError: another process is at it.
        """
        if (self._home / "pending.json").is_file():
            with self.alone():
                return

    def recover(self) -> Change | None:
        """Finish the change that a dead process began; None if there is none. Hold the lock."""
        raw = files.read_bytes(self._home / "pending.json")
        if raw is None:
            return None
        change = _read(raw, str(self._home / "pending.json"))
        self._finish(change)
        return change

    def _finish(self, change: Change) -> None:
        """Do what is left of ``change``: every step may have been done already."""
        config = Path(change.config)
        now_there = files.read_bytes(config)
        if now_there is not None and digest_of(now_there) == change.before:
            write_config(config, self.kept(change.after))
        self._settle(change)
        if not any(one.number == change.number for one in self.changes()):
            append_line(self._home / "changes.jsonl", change.to_bytes())
        files.unlink(self._home / "pending.json")

    def _settle(self, change: Change) -> None:
        """Bring the store's active embedder to what the change says."""
        active = self._store.active("embedder")
        there = active.id if active else None
        if there == change.adapter:
            return
        if change.action == "activate" and change.adapter is not None:
            self._store.activate(change.adapter, "embedder", force=change.forced)
        else:
            self._store.rollback("embedder")

    def _keep(self, raw: bytes) -> None:
        path = self._home / "kept" / f"{digest_of(raw)}.yaml"
        if files.read_bytes(path) != raw:
            files.make_dir(path.parent)
            self._write(path, raw)

    def _write(self, path: Path, raw: bytes) -> None:
        files.write_atomic(path, raw, self._home / "drafts")


def write_config(path: Path, raw: bytes) -> None:
    """Replace ragd's configuration in one step, with the rights that it had."""
    draft = path.with_name(f".{path.name}.ragd-tune-{files.token()}")
    try:
        files.write(draft, raw)
        draft.chmod(stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600)
        files.rename(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            files.unlink(draft)
        raise
    files.sync_dir(path.parent)


def digest_of(raw: bytes) -> str:
    """Return the sha256 (hex) of bytes."""
    return hashlib.sha256(raw).hexdigest()


def _read(raw: bytes, where: str) -> Change:
    check_schema(raw, where)
    try:
        return Change.model_validate_json(raw)
    except pydantic.ValidationError as error:
        raise StoreError(
            f"{where}: {describe(error)}", mend="put the file back from a copy, or move it away"
        ) from error
