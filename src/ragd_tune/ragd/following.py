"""One process of ragd's, following the store and the configuration between its operations."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import StoreError
from ragd_tune.ragd import marker
from ragd_tune.ragd.facts import HostConfig, host_config
from ragd_tune.ragd.provider import get_reranker, open_documents, view_home, view_id
from ragd_tune.store import Store

if TYPE_CHECKING:
    from ragd_tune.ragd.protocols import HostReranker
    from ragd_tune.serve import Embedder

_log = logging.getLogger(__name__)
_Stamp = tuple[int, int, int] | None
QUIET = 0.2
"""Seconds that a file which is written in its place must be left alone before it is read."""


class QueryEmbedder:
    """ragd's own embedder of a model, whose queries the active query adapter embeds, if any.

    Everything else is the original's: its attributes are reached through this object.
    """

    def __init__(self, name: str, original: Any, host: Following) -> None:
        self._name = name
        self._original = original
        self._host = host

    def embed_single(self, text: str) -> list[float]:
        """Return the vector of a query."""
        queries = self._host.queries(self._name)
        if queries is None:
            vector: list[float] = self._original.embed_single(text)
            return vector
        found: list[float] = queries.embed_queries([text])[0].tolist()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class AdapterEmbedder:
    """ragd's embedder for a view: documents and queries by their roles, pinned to one adapter."""

    def __init__(self, name: str, embedder: Embedder) -> None:
        self._embedder = embedder
        self.model_name = name

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of documents."""
        vectors: list[list[float]] = self._embedder.embed_documents(texts).tolist()
        return vectors

    def embed_single(self, text: str) -> list[float]:
        """Return the vector of a query."""
        vector: list[float] = self._embedder.embed_queries([text])[0].tolist()
        return vector

    @property
    def dimension(self) -> int:
        """Floats of one vector."""
        return self._embedder.dimension

    def is_loaded(self) -> bool:
        """Say whether the weights are in memory (a method, as in ragd)."""
        return self._embedder.is_loaded


class Following:
    """What this process has loaded, and what it has seen of the files that decide."""

    def __init__(self, store: Store, config: Path) -> None:
        self._store = store
        self._config = config
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}
        self._queries: tuple[object, Embedder | None] = (None, None)
        self._reranker: tuple[str | None, HostReranker | None] = (None, None)

    def embedder(self, name: str, original: Callable[[], Any]) -> Any:
        """Return what embeds for ``name``: a view by ragd-tune, any other model by ragd."""
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name, original)
            return self._made[name]

    def _make(self, name: str, original: Callable[[], Any]) -> Any:
        if view_id(name) is None:
            return QueryEmbedder(name, original(), self)
        facts = HostConfig(model=name, data_dir=self._config.parent)
        return AdapterEmbedder(name, open_documents(facts, home=view_home(name)))

    def queries(self, name: str) -> Embedder | None:
        """Return the active query adapter for the model ``name``; None if there is none.

        :raises StoreError: it is damaged, or does not search what ``name`` embeds.
        """
        active = self._store.active("embedder")
        wanted = (active.id, name) if active and active.id else None
        with self._lock:
            if wanted != self._queries[0]:
                self._queries = (wanted, self._open_queries(*wanted) if wanted else None)
            return self._queries[1]

    def _open_queries(self, wanted: str, name: str) -> Embedder | None:
        from ragd_tune.serve.load import load

        if self._store.get(wanted).manifest.side != "query":
            return None
        found = load(wanted, slot="embedder", home=self._store.root)
        space = self._space(name)
        if found.space != space:
            raise StoreError(
                f"the active query adapter {found.model_name} does not search what {name} embeds",
                mend="go back by `ragd-tune adapters rollback`",
            )
        return found

    @functools.cache  # noqa: B019 - one object for the life of the process
    def _space(self, name: str) -> str:
        """Return the space that the model ``name`` embeds documents into."""
        with open_documents(HostConfig(model=name, data_dir=self._config.parent)) as found:
            return found.space

    def check_index(self, config: Any) -> None:
        """Refuse the index of ``config`` if it holds vectors of another space than its model's.

        :raises StoreError: it does.
        """
        facts = host_config(config)
        found = marker.read_marker(facts.chroma_path)
        adapter = view_id(facts.model)
        if found is None and adapter is not None and not marker.is_empty(facts.chroma_path):
            raise StoreError(
                f"the index in {facts.chroma_path} was not made with {adapter[:12]}",
                mend="embed the documents again: ragd-tune host reindex",
            )
        if found is not None:
            marker.must_hold(facts.chroma_path, self._space(facts.model), facts.model)

    def reranker(self, config: Any) -> HostReranker | None:
        """Return the active reranker; None if there is none."""
        active = self._store.active("reranker")
        wanted = active.id if active else None
        with self._lock:
            if wanted != self._reranker[0]:
                found = get_reranker(config, home=self._store.root) if wanted else None
                self._reranker = (wanted, found)
            return self._reranker[1]

    def remember(self, searcher: Any) -> None:
        """Note that ``searcher`` stands on the configuration as it is now, if it does."""
        stamp = _stamp(self._config)
        searcher._ragd_tune_stamp = stamp if self._is_current(searcher) else None

    def changed(self, searcher: Any) -> Any:
        """Return ragd's new configuration if another pair stands there than ``searcher`` has.

        A file that is empty or cannot be read is being written, by ragd itself or by hand: what
        was read before stands until it can be.
        """
        seen = getattr(searcher, "_ragd_tune_stamp", None)
        stamp = _stamp(self._config)
        if seen is None or stamp is None or seen == stamp:
            return None
        if stamp[2] == seen[2]:  # not replaced, as ragd-tune does, but written in its place
            stamp = _settled(self._config)
        config = _load(self._config)
        if config is None:
            return None
        searcher._ragd_tune_stamp = stamp
        return None if _deciding(config) == _deciding(searcher.config) else config

    def _is_current(self, searcher: Any) -> bool:
        config = _load(self._config)
        return config is not None and _deciding(config) == _deciding(searcher.config)


def _deciding(config: Any) -> tuple[Any, ...]:
    facts = host_config(config)
    return facts.model, facts.chroma_path, facts.min_score, facts.min_relevance


def _load(path: Path) -> Any:
    """Return ragd's configuration; None if there is nothing in its file, or nothing legible."""
    config = import_module("ragd.config")
    try:
        return config.load_config(path) if path.read_bytes().strip() else None
    except (OSError, ValueError, config.yaml.YAMLError) as error:
        _log.warning("%s cannot be read, and what was read before stands: %s", path, error)
        return None


def _settled(path: Path) -> _Stamp:
    """Return a file's stamp once it has been left alone for a moment, or after two seconds."""
    deadline = time.monotonic() + 10 * QUIET
    while (stamp := _stamp(path)) is not None and time.monotonic() < deadline:
        if time.time() - stamp[0] / 1e9 >= QUIET:
            break
        time.sleep(QUIET / 4)
    return stamp


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@functools.cache
def following() -> Following:
    """Return the one of this process."""
    from ragd_tune.config import ragd_path

    return Following(Store(), ragd_path())
