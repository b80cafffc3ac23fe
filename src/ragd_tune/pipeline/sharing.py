"""Adapters to the hub and from it. Nothing is sent but by :func:`push`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.errors import RefusedAdapterError, StoreError
from ragd_tune.pipeline.adopting import import_adapter
from ragd_tune.pipeline.reporting import story
from ragd_tune.store import Entry, Manifest, Store
from ragd_tune.store.catalogue import check_sound
from ragd_tune.store.manifest import FILE, MAX_BYTES
from ragd_tune.store.safety import DEFAULT_LIMITS, check_amount

CARD = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What would be sent: the adapter's files, its manifest, and the card that tells of them."""

    repo: str
    entry: Entry
    files: Mapping[str, Path | bytes]
    card: str

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(
            len(one) if isinstance(one, bytes) else one.stat().st_size
            for one in self.files.values()
        )


def pack(store: Store, ref: str, repo: str) -> Parcel:
    """Gather what :func:`push` sends; nothing is sent yet. Records stay here.

    :raises StoreError: there is no such adapter, it is damaged, or it has a card of its own.
    :raises UsageError: ``repo`` is no repository's name.
    """
    from ragd_tune.models import remote
    from ragd_tune.report.card import card

    name, revision = remote.parse(repo)
    if revision is not None:
        raise StoreError(f"{repo}: adapters are pushed to the main branch", mend=f"say {name}")
    entry = store.get(ref)
    manifest = check_sound(entry.path)
    if CARD in manifest.files:
        raise StoreError(
            f"{entry.shown} holds a {CARD} of its own, where the card belongs",
            mend="hand it on as an archive: ragd-tune adapters export",
        )
    proven = bool(store.records(entry.id, "proof"))
    told = card(manifest, name, story(store, entry.id) if proven else None)
    files: dict[str, Path | bytes] = {one: entry.path / one for one in [FILE, *manifest.files]}
    return Parcel(repo=name, entry=entry, files={**files, CARD: told.encode()}, card=told)


def push(parcel: Parcel, *, public: bool = False, endpoint: str | None = None) -> str:
    """Send ``parcel`` to its repository; return the commit's address.

    A repository that is not there is made, private unless ``public``.

    :raises UsageError: the repository is public, and ``public`` was not said.
    :raises StoreError: the hub refuses.
    """
    from ragd_tune.models import remote

    message = f"Adapter {parcel.entry.id[:12]} by ragd-tune"
    return remote.put(parcel.repo, parcel.files, public=public, message=message, endpoint=endpoint)


def pull(store: Store, repo: str, *, name: str | None = None, endpoint: str | None = None) -> Entry:
    """Bring an adapter from ``owner/name[@revision]`` into the store.

    Only the manifest and the files that it names are fetched, all from one commit, and their sizes
    are checked before; then they go through every check of an import.

    :raises RefusedAdapterError: it breaks a rule of safety; names file and rule.
    :raises StoreError: the repository holds no adapter.
    :raises NotInstalledError: the repository, or the base model, is not to be had.
    """
    from ragd_tune.models import remote

    listing = remote.find(*remote.parse(repo), endpoint=endpoint)
    if FILE not in listing.files:
        raise StoreError(
            f"{repo} holds no {FILE}: it is no adapter of ragd-tune",
            mend="name a repository that 'ragd-tune adapters push' made",
        )
    if listing.files[FILE] > MAX_BYTES:
        raise RefusedAdapterError(f"{FILE}: more than {MAX_BYTES:,} bytes")
    with tempfile.TemporaryDirectory(prefix="ragd-tune-pull-") as scratch:
        folder = Path(scratch) / listing.repo.rpartition("/")[2]
        folder.mkdir()
        remote.fetch(listing, FILE, folder, endpoint=endpoint)
        manifest = Manifest.load(folder, shown=repo)
        _check_sizes(manifest, listing.files)
        for one in manifest.files:
            remote.fetch(listing, one, folder, endpoint=endpoint)
        return import_adapter(store, folder, name=name)


def _check_sizes(manifest: Manifest, there: Mapping[str, int]) -> None:
    """Refuse what is not as the manifest says, before it is fetched.

    :raises RefusedAdapterError: a file is missing, or has another size; or it is all too much.
    """
    check_amount(
        len(manifest.files), sum(one.size for one in manifest.files.values()), DEFAULT_LIMITS
    )
    for name, entry in manifest.files.items():
        if name not in there:
            raise RefusedAdapterError(f"{name} is missing in the repository")
        if there[name] != entry.size:
            raise RefusedAdapterError(
                f"{name} has {there[name]:,} bytes there, {FILE} says {entry.size:,}"
            )
