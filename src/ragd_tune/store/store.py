"""The store: adapters by content id, committed whole or not at all.

All writing goes through :mod:`ragd_tune.store.files`, under one lock; reading needs no lock.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from pathlib import Path

import filelock

from ragd_tune.errors import StoreError, UsageError
from ragd_tune.store import activation, aliases, archive, catalogue, files, records, safety
from ragd_tune.store.activation import Activation
from ragd_tune.store.catalogue import Entry, Finding
from ragd_tune.store.layout import Layout, default_home, readable_errors
from ragd_tune.store.manifest import FILE, Manifest
from ragd_tune.store.records import Look, Record
from ragd_tune.store.vectors import VectorCache


class Store:
    """Adapters, their records, and which of them serve.

    :param home: root of the store; ``$RAGD_TUNE_HOME``, else ``~/.ragd/tune``. It is made when
        something is first written.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.layout = Layout((home or default_home()).expanduser().absolute())
        self._drafts: dict[Path, filelock.BaseFileLock] = {}

    @property
    def root(self) -> Path:
        """The store's folder; it may not exist yet."""
        return self.layout.root

    @property
    def runs(self) -> Path:
        """Folder of training runs: plans, events, checkpoints."""
        return self.root / "runs"

    @property
    def datasets(self) -> Path:
        """Folder of data sets that were made here."""
        return self.root / "datasets"

    @property
    def vectors(self) -> VectorCache:
        """Vectors that base models made before; they only save time."""
        return VectorCache(self.root / "cache" / "vectors")

    def view_dir(self, content_id: str) -> Path:
        """Return where the folder that ragd can load is generated for an adapter."""
        return self.layout.view(content_id)

    def draft(self) -> Path:
        """Return a private, empty folder on the store's disk; commit or discard it.

        Whatever ends this process, the draft does not outlive it for long.
        """
        folder, alive = self.layout.new_draft()
        self._drafts[folder] = alive
        return folder

    def discard(self, draft: Path) -> None:
        """Remove a draft; one that is gone already is left alone."""
        if alive := self._drafts.pop(draft, None):
            self.layout.end_draft(draft, alive)

    def commit(self, draft: Path, manifest: Manifest, names: Iterable[str] = ()) -> Path:
        """Check a draft, sync it and rename it into place; return its folder.

        An equal adapter that is already there is verified too, and replaced if damaged. ``names``
        move to this adapter from any other. The draft is gone afterwards, whatever happened.

        :raises RefusedAdapterError: a file is no data, or not as ``manifest`` says.
        :raises UsageError: a name that cannot be one, or a folder that is no draft.
        """
        if draft not in self._drafts:
            raise UsageError(f"{draft} is no draft of this store", mend="take one from draft()")
        try:
            wanted = [aliases.check(name) for name in names]
            safety.check_folder(draft)
            manifest.verify(draft)
            home = self.layout.adapter(manifest.kind, manifest.content_id)
            with readable_errors(draft):
                files.write(draft / FILE, manifest.to_bytes())
                files.sync_tree(draft)
            with self.layout.locked():
                if not catalogue.is_sound(home):
                    self.layout.put(draft, home)
                aliases.assign(self.layout, manifest.content_id, wanted)
        finally:
            self.discard(draft)
        return home

    def list(self, kind: str | None = None) -> list[Entry]:
        """Return every adapter, by kind and name; one that cannot be read is logged, left out."""
        return catalogue.entries(self.layout, kind)

    def get(self, ref: str, kind: str | None = None) -> Entry:
        """Return the adapter that ``ref`` means: a name, an id, or its first six letters or more.

        :raises StoreError: there is none, it is of another kind, or its manifest is damaged.
        :raises UsageError: several ids start so; the message lists them.
        """
        return catalogue.find(self.layout, ref, kind)

    def name(self, ref: str, name: str) -> Entry:
        """Let ``name`` mean this adapter from now on.

        :raises UsageError: it cannot be a name.
        """
        aliases.check(name)
        with self.layout.locked():
            path = catalogue.resolve(self.layout, ref)
            aliases.assign(self.layout, path.name, [name])
        return self.get(path.name)

    def remove(self, ref: str) -> None:
        """Remove an adapter, its names and its view. Its records stay.

        :raises StoreError: it is active.
        """
        with self.layout.locked():
            path = catalogue.resolve(self.layout, ref)
            for slot, entry in activation.read_active(self.layout).items():
                if entry.id == path.name:
                    raise StoreError(
                        f"{ref} is the active {slot}",
                        mend="roll back, or activate another one first",
                    )
            self.layout.drop(path)
            aliases.drop(self.layout, path.name)
            if self.view_dir(path.name).exists():
                self.layout.drop(self.view_dir(path.name))

    def verify(self, ref: str | None = None) -> tuple[Finding, ...]:
        """Return what is not sound about one adapter, or the whole store; empty is sound.

        Every byte of every adapter is read. What a dead process left is put right first.
        """
        with self.layout.locked():
            only = None if ref is None else catalogue.resolve(self.layout, ref)
            return tuple(catalogue.problems(self.layout, only))

    def record(self, content_id: str, type: str, payload: Mapping[str, object]) -> Record:  # noqa: A002
        """Add a record (``proof``, ``calibration``, ``provenance`` …) beside an adapter, for good.

        A proof's payload says ``passed``; only ``true`` opens the gate of :meth:`activate`.

        :raises StoreError: ``payload`` is not plain JSON.
        """
        with self.layout.locked():
            return records.add_record(self.layout, content_id, type, payload)

    def records(self, content_id: str, type: str | None = None) -> builtins.list[Record]:  # noqa: A002
        """Return the records of an adapter, the oldest first."""
        return records.read_records(self.layout, content_id, type)

    def look(self, test_fingerprint: str, adapter_id: str) -> int:
        """Note a look at a test set; return how many there were, this one included."""
        with self.layout.locked():
            return records.add_look(self.layout, test_fingerprint, adapter_id)

    def looks(self, test_fingerprint: str | None = None) -> builtins.list[Look]:
        """Return the looks at a test set, or at all of them, the oldest first."""
        return records.read_looks(self.layout, test_fingerprint)

    def activate(self, ref: str, slot: str, *, force: bool = False) -> Activation:
        """Let an adapter serve ``slot``; one that serves already is left as it is.

        :raises NotProvenError: its last proof made here did not pass, and no ``force``.
        :raises StoreError: it is damaged.
        :raises UsageError: ``slot`` is none.
        """
        activation.check_slot(slot)
        entry = self.get(ref)
        # Reading every byte may take seconds: not under the lock.
        catalogue.check_sound(entry.path)
        with self.layout.locked():
            catalogue.resolve(self.layout, entry.id)
            proven = activation.is_proven(self.records(entry.id))
            if not proven and not force:
                raise activation.not_proven(self.records(entry.id), entry.shown)
            active = activation.read_active(self.layout).get(slot)
            if active and active.id == entry.id:
                return active
            target = (entry.kind, entry.id)
            return activation.change(self.layout, "activate", slot, target, forced=not proven)

    def deactivate(self, slot: str) -> Activation | None:
        """Let the bare base serve ``slot`` again; ``None`` where it does already."""
        activation.check_slot(slot)
        with self.layout.locked():
            if self.active(slot) is None:
                return None
            return activation.change(self.layout, "deactivate", slot, None)

    def rollback(self, slot: str) -> Activation:
        """Undo the last activation of ``slot`` that is still in force.

        :raises StoreError: there is none, or what served before is missing or damaged.
        """
        activation.check_slot(slot)
        with self.layout.locked():
            target = activation.rollback_target(self.layout, slot)
            if target and not catalogue.is_sound(self.layout.adapter(*target)):
                raise StoreError(
                    f"adapter {target[1][: catalogue.SHORT]}, which served before, is missing or"
                    " damaged",
                    mend="import it again, or activate another one",
                )
            return activation.change(self.layout, "rollback", slot, target)

    def active(self, slot: str) -> Activation | None:
        """Return the activation that is in force for ``slot``; ``None`` is the bare base."""
        entry = activation.read_active(self.layout).get(slot)
        return entry if entry and entry.id else None

    def history(self) -> builtins.list[Activation]:
        """Return every activation and rollback, the oldest first, without gaps."""
        return activation.read_history(self.layout)

    def export(self, ref: str, out: Path, *, records: bool = True, overwrite: bool = False) -> Path:
        """Write an adapter into one archive; twice gives identical bytes. Return its path.

        :raises StoreError: the adapter is damaged.
        :raises UsageError: ``out`` exists already.
        """
        path = catalogue.resolve(self.layout, ref)
        return archive.export(self.layout, path, out, with_records=records, overwrite=overwrite)

    def import_(
        self,
        source: Path,
        *,
        names: Iterable[str] = (),
        base_here: archive.BaseHere | None = None,
        limits: safety.Limits = safety.DEFAULT_LIMITS,
    ) -> Entry:
        """Take in an archive, or a folder with a manifest, made elsewhere. It is data, never code.

        :param base_here: says whether the base that the adapter needs is at hand; not asked if
            ``None``.
        :raises RefusedAdapterError: with the file and the rule that it breaks; nothing is left.
        :raises NotInstalledError: the base is not at hand.
        """
        draft = self.draft()
        try:
            with readable_errors(source):
                claims = archive.unpack(source, draft, limits)
            manifest = Manifest.load(draft, shown=source.name)
            claimed = archive.read_claims(claims, manifest)
            archive.check_base(manifest, base_here)
            self.commit(draft, manifest, names)
        finally:
            self.discard(draft)
        with self.layout.locked():
            records.add_imported(self.layout, claimed)
        return self.get(manifest.content_id)
