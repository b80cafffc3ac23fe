"""Removing an adapter from the store, unless something still stands on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ragd_tune.config import ragd_path
from ragd_tune.errors import StoreError, TuneError, UsageError
from ragd_tune.ragd import configfile
from ragd_tune.ragd.facts import HostConfig, host_config
from ragd_tune.ragd.provider import view_id
from ragd_tune.ragd.switch import Switch
from ragd_tune.store import Entry, Store

_BACK = "roll back first: ragd-tune adapters rollback"


def remove(store: Store, ref: str) -> Entry:
    """Remove an adapter, its names and its view; its records and indexes stay.

    :raises StoreError: it is active, or ragd's configuration names it; nothing has changed.
    """
    entry = store.get(ref)
    must_not_be_named(store, entry)
    store.remove(entry.id)
    return entry


def must_not_be_named(store: Store, entry: Entry) -> None:
    """Refuse an adapter that ragd's configuration names: ragd could not search without it.

    :raises StoreError: says where it is named.
    """
    config = ragd_path()
    if not config.is_file():
        return
    try:
        facts = host_config(configfile.parse(configfile.read(config), str(config)))
    except UsageError:
        return  # ragd cannot read it either
    key = next((key for key, ref in _named(facts) if _is(store, ref, entry)), None)
    if key is not None:
        raise StoreError(
            f"{config} names {entry.shown} as {key}: without it ragd cannot search", mend=_BACK
        )


def comes_back(store: Store, entry: Entry) -> bool:
    """Say whether a rollback of ragd's configuration would come back to ``entry``."""
    trail = Switch(store, ragd_path()).trail()
    return any(one.previous == entry.id for one in trail)


def _named(facts: HostConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, what it names) of ragd's configuration."""
    yield "embedding.model", view_id(facts.model) or facts.model
    for key, ref in (
        ("embedding.custom_model_path", facts.custom),
        ("embedding.adapter_path", facts.adapter),
        ("retrieval.reranker_path", facts.reranker),
    ):
        if ref:
            yield key, ref


def _is(store: Store, ref: str, entry: Entry) -> bool:
    """Say whether ``ref``, a name, an id or a folder, means ``entry``."""
    if ref == entry.id or ref in entry.names:
        return True
    if "/" in ref or "\\" in ref:
        return Path(ref).expanduser().resolve() == entry.path.resolve()
    try:
        return store.get(ref).id == entry.id
    except TuneError:
        return False
