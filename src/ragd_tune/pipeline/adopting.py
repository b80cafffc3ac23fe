"""Bring an adapter from elsewhere into the store, if its base model is at hand."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.errors import BaseMismatchError, NotInstalledError
from ragd_tune.store import BaseRef, Entry, Store


def import_adapter(store: Store, source: Path, *, name: str | None = None) -> Entry:
    """Import an archive or a folder; the network is not asked for its base.

    :raises RefusedAdapterError: it breaks a rule of safety; names file and rule.
    :raises NotInstalledError: its base model is not on this machine.
    """
    from ragd_tune.models import locate

    def here(base: BaseRef) -> bool:
        try:
            locate(base.name, base.fingerprint, store.root, offline=True)
        except (NotInstalledError, BaseMismatchError):
            return False
        return True

    return store.import_(source, names=[name] if name else [], base_here=here)
