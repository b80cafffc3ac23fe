"""ragd's models, from here: what the entry points ``ragd.embedders`` and ``ragd.rerankers`` name.

``get_embedder(config)`` decides by ``config`` alone which model embeds **documents**, because the
index that they go into stands in the same configuration. The active adapter of the store decides
what embeds **queries**, where its documents' space is the same. A missing or damaged adapter is an
error: falling back to the base would mix two models' vectors in one index.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import StoreError, TuneError, UsageError
from ragd_tune.ragd import marker
from ragd_tune.ragd.facts import CUSTOM, HostConfig, host_config
from ragd_tune.ragd.protocols import HostEmbedder, HostReranker

if TYPE_CHECKING:
    from ragd_tune.registry import Registry
    from ragd_tune.serve import Embedder

_ID = 64
_BACK = "the way back: ragd-tune adapters rollback"


def get_embedder(
    config: object, *, home: Path | None = None, registry: Registry | None = None
) -> HostEmbedder:
    """Return the embedder that ragd's configuration asks for.

    ``embedding.adapter_path``, or ``embedding.model: custom`` with ``custom_model_path``, name an
    adapter (a folder, a name or an id) or a model's folder; ``embedding.model`` names a model, or
    a view that `adapters activate` made. An active adapter of the query side embeds queries.

    :param config: ragd's model, or a mapping of the same shape.
    :param home: the store's root; ``$RAGD_TUNE_HOME``, else ``~/.ragd/tune``.
    :raises StoreError: the adapter is missing or damaged, or the index holds another space; names
        it, and the way back.
    :raises UsageError: the configuration names none.
    """
    facts = host_config(config)
    documents = open_documents(facts, home=home, registry=registry)
    queries = _queries(facts, documents, home, registry)
    _check_index(facts, documents)
    return HostEmbedder(facts.model, documents, queries)


def get_reranker(
    config: object, *, home: Path | None = None, registry: Registry | None = None
) -> HostReranker | None:
    """Return the active reranker, or that of ``retrieval.reranker_path``; None where there is none.

    :raises StoreError: it is missing or damaged; names it, and the way back.
    """
    from ragd_tune.store import Store

    ref = host_config(config).reranker
    active = None if ref else Store(home).active("reranker")
    if not ref and active is None:
        return None
    model = _load(ref or str(active and active.id), home, registry, slot="reranker")
    if not hasattr(model, "rerank"):
        raise UsageError(f"{ref} is no reranker", mend="name an adapter that `adapters list` shows")
    return HostReranker(model)


def adapter_of(facts: HostConfig) -> str | None:
    """Return the adapter that a configuration names for documents; None if it names a model."""
    if facts.adapter:
        return facts.adapter
    if facts.model != CUSTOM:
        return view_id(facts.model)
    if not facts.custom:
        raise UsageError(
            "ragd's configuration has embedding.model: custom and no embedding.custom_model_path",
            mend="name an adapter or a model's folder there",
        )
    place = Path(facts.custom).expanduser()
    is_model = place.is_dir() and not (place / "ragd-tune.json").is_file()
    return None if is_model else facts.custom


def view_id(model: str) -> str | None:
    """Return the id of the adapter whose view ``model`` is; None if it is no view."""
    place = Path(model)
    is_id = len(place.name) == _ID and all(letter in "0123456789abcdef" for letter in place.name)
    return place.name if is_id and place.parent.name == "views" else None


def view_home(model: str) -> Path | None:
    """Return the root of the store that the view ``model`` lies in."""
    return Path(model).parent.parent if view_id(model) else None


def open_documents(
    facts: HostConfig, *, home: Path | None = None, registry: Registry | None = None
) -> Embedder:
    """Return what embeds documents by ragd's configuration; it is loaded at the first call.

    :raises StoreError: the adapter is missing or damaged; names it, and the way back.
    """
    from ragd_tune.serve import load_base

    ref = adapter_of(facts)
    if ref is not None:
        found: Embedder = _load(ref, view_home(facts.model) or home, registry, slot="embedder")
        return found
    name = facts.custom if facts.model == CUSTOM and facts.custom else facts.model
    return load_base(name, home=home, registry=registry, lazy=True)


def _queries(
    facts: HostConfig, documents: Embedder, home: Path | None, registry: Registry | None
) -> Embedder | None:
    """Return the active adapter of the query side, if there is one and it fits the documents."""
    from ragd_tune.store import Store

    if adapter_of(facts) is not None:
        return None
    store = Store(home)
    active = store.active("embedder")
    if active is None or active.id is None:
        return None
    try:
        side = store.get(active.id).manifest.side
    except StoreError as error:
        raise _unusable(active.id, error) from error
    if side != "query":
        return None
    found: Embedder = _load(active.id, home, registry, slot="embedder")
    if found.space != documents.space:
        raise StoreError(
            f"the active query adapter {found.model_name} searches the space {found.space[:12]}, "
            f"and {facts.model} embeds documents into {documents.space[:12]}",
            mend=_BACK,
        )
    return found


def _load(ref: str, home: Path | None, registry: Registry | None, *, slot: str) -> Any:
    from ragd_tune import load

    opened: Any = load
    try:
        return opened(ref, slot=slot, home=home, registry=registry, lazy=True)
    except TuneError as error:
        raise _unusable(ref, error, slot) from error


def _unusable(ref: str, error: TuneError, slot: str = "embedder") -> StoreError:
    return StoreError(
        f"the {slot} {ref} cannot be used: {error.message}",
        mend=f"{error.mend}; {_BACK} {slot}" if error.mend else f"{_BACK} {slot}",
    )


def _check_index(facts: HostConfig, documents: Embedder) -> None:
    """Refuse an index of another space; note the space of one that is still empty.

    An index without a note is ragd's own: the model that its configuration names made it, so an
    adapter may not use it unless it is empty.
    """
    folder = facts.chroma_path
    found = marker.read_marker(folder)
    if marker.is_empty(folder) and (found is None or found.state == "ready"):
        if adapter_of(facts) is not None:
            marker.Marker(
                space=documents.space, model=documents.id, name=documents.model_name,
                dimension=documents.dimension, state="ready",
            ).write(folder)  # fmt: skip
        return
    if found is None and adapter_of(facts) is not None:
        raise StoreError(
            f"the index in {folder} was not made with {documents.model_name}",
            mend=f"embed the documents again: ragd-tune host reindex; {_BACK}",
        )
    if found is not None:
        marker.must_hold(folder, documents.space, documents.model_name)
