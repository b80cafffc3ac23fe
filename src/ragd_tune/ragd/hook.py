"""What the hook does inside ragd's process: queries, documents and results go through the provider.

Four of ragd 1.0's seams are wrapped as its modules are imported; ragd itself is not changed.

- ``get_embedder``: a view of an adapter is loaded by ragd-tune, with the roles; any other model is
  ragd's own, and an active query adapter of that model embeds the queries.
- ``HybridSearcher.search``: follows the configuration between two searches, embedder and index
  together; refuses an index of another space; sorts by the active reranker.
- ``index_document``: refuses an index of another space.
- ``ChatSession``: takes over the new threshold with the new model.
"""

from __future__ import annotations

import functools
import inspect
import logging
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ragd_tune.errors import StoreError
from ragd_tune.ragd.following import Following, following
from ragd_tune.ragd.hooking import TESTED, ragd_version

_log = logging.getLogger(__name__)
WIDER = 3
"""How many times more results are fetched for a reranker to choose from."""


class Loader:
    """Run a module as its own loader does, then wrap what the hook is for."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Make the module as ever."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then wrap its seam."""
        self._loader.exec_module(module)
        patch(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def patch(module: ModuleType) -> None:
    """Wrap the seam of one of ragd's modules; leave a ragd that was not tested alone."""
    version = ragd_version()
    if version not in TESTED:
        _log.warning("ragd %s was not tested with ragd-tune's hook: left alone", version)
        return
    _PATCHES[module.__name__](module)


def _patch_embedder(module: Any) -> None:
    original = module.get_embedder

    @functools.wraps(original)
    def get_embedder(*args: Any, **named: Any) -> Any:
        given = _given(original, args, named)
        return following().embedder(given["model_name"], lambda: original(*args, **named))

    module.get_embedder = get_embedder


def _patch_search(module: Any) -> None:
    original_init, original = module.HybridSearcher.__init__, module.HybridSearcher.search

    @functools.wraps(original_init)
    def init(self: Any, *args: Any, **named: Any) -> None:
        original_init(self, *args, **named)
        following().remember(self)

    @functools.wraps(original)
    def search(self: Any, *args: Any, **named: Any) -> Any:
        settle(self, original_init)
        host = following()
        given = _given(original, (self, *args), named)
        reranker = None if given["document_boosts"] else host.reranker(self.config)
        if reranker is None or not given["query"].strip():
            return original(self, *args, **named)
        limit = given["limit"]
        found = original(**{**given, "limit": limit * WIDER})
        return reranker.rerank(given["query"], found, top_k=limit)

    module.HybridSearcher.__init__ = init
    module.HybridSearcher.search = search


def settle(searcher: Any, original_init: Any) -> None:
    """Have a searcher follow the configuration, and make sure that its pair may be used.

    :raises StoreError: its index is not finished, or of another space than its model's.
    """
    host = following()
    follow(searcher, original_init)
    try:
        host.check_index(searcher.config)
    except StoreError:
        # Back and forth again since then: its old index may be in the making, and another pair
        # stands in the configuration now.
        if not follow(searcher, original_init):
            raise
        host.check_index(searcher.config)


def follow(searcher: Any, original_init: Any) -> bool:
    """Let a searcher that lives long take over what the configuration says now, whole or not.

    Embedder, vectors and keywords are made anew and put in together; the configuration that the
    searcher was given is changed in place, because its owner searches by it, too. Return whether
    there was anything to take over.
    """
    host: Following = following()
    config = host.changed(searcher)
    if config is None:
        return False
    fresh = object.__new__(type(searcher))
    original_init(fresh, config=config)
    old = searcher._bm25
    for section in ("embedding", "storage"):
        setattr(searcher.config, section, getattr(config, section))
    searcher.config.retrieval.min_score = config.retrieval.min_score
    searcher.config.chat.min_relevance = config.chat.min_relevance
    kept = searcher.config
    searcher.__dict__.update(fresh.__dict__ | {"config": kept})
    host.remember(searcher)
    old.close()
    return True


def _patch_ingestion(module: Any) -> None:
    original = module.index_document

    @functools.wraps(original)
    def index_document(*args: Any, **named: Any) -> Any:
        following().check_index(_given(original, args, named)["config"])
        return original(*args, **named)

    module.index_document = index_document


def _patch_chat(module: Any) -> None:
    from importlib import import_module

    original = module.ChatSession._retrieve_with_fallback
    searcher = import_module("ragd.search.hybrid").HybridSearcher
    original_init = inspect.unwrap(searcher.__init__)

    @functools.wraps(original)
    def retrieve(self: Any, *args: Any, **named: Any) -> Any:
        before = self.config.chat.min_relevance
        follow(self._searcher, original_init)
        if self.chat_config.min_relevance == before:
            self.chat_config.min_relevance = self.config.chat.min_relevance
        return original(self, *args, **named)

    module.ChatSession._retrieve_with_fallback = retrieve


def _given(function: Any, args: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included."""
    bound = inspect.signature(function).bind(*args, **named)
    bound.apply_defaults()
    return dict(bound.arguments)


_PATCHES = {
    "ragd.chat.session": _patch_chat,
    "ragd.embedding.embedder": _patch_embedder,
    "ragd.ingestion.pipeline": _patch_ingestion,
    "ragd.search.hybrid": _patch_search,
}
