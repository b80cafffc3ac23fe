"""Open the models that a proof compares: each once, closed together, the base's vectors kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ragd_tune.kinds import Served
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Device, ModelFacts, Role
from ragd_tune.store import Entry, Store, VectorCache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.backends import Limits, MultiVector, RerankRequest
    from ragd_tune.serve import ServedModel

EMBEDS = "contrastive"
"""The objective under which any embedder's base is loaded."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """An adapter of the query side whose documents were embedded already, by the bare base.

    Every backend embeds documents so: its conformance suite compares the two.
    """

    queries: Served
    documents: Served

    @property
    def facts(self) -> ModelFacts:
        """Those of the adapter."""
        return self.queries.facts

    def embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32] | MultiVector:
        """Ask the one or the other by the role."""
        return (self.queries if role == "query" else self.documents).embed(texts, role)

    def rerank(self, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
        """Ask the adapter."""
        return self.queries.rerank(requests)

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Ask the adapter."""
        return self.queries.generate(prompts, limits)


@dataclass(frozen=True, kw_only=True)
class Embedders:
    """Opens embedders by name, each once; leaving ``stack`` closes them.

    ``named`` is the store of the adapters that are asked for by name; the shop's own if None.
    """

    shop: Workshop
    stack: ExitStack
    device: Device | None = None
    named: Store | None = None
    offline: bool | None = None
    _opened: dict[str, Served] = field(default_factory=dict)

    @cached_property
    def cache(self) -> VectorCache:
        """The store's cache of vectors."""
        return self.shop.store.vectors

    def embedder(self, name: str) -> Served:
        """Return any embedder, by an adapter's name or id, else by a base's name."""
        return self._once(f"embedder {name}", lambda: self._embedder(name))

    def identity(self, name: str) -> str:
        """Return what tells the embedder ``name`` from every other, without opening it."""
        found = self._found(name)
        return found.fingerprint if isinstance(found, BaseModel) else found.manifest.content_id

    def _once(self, name: str, open_: Callable[[], Served]) -> Served:
        if name not in self._opened:
            self._opened[name] = open_()
        return self._opened[name]

    def _found(self, name: str) -> Entry | BaseModel:
        from ragd_tune.errors import StoreError
        from ragd_tune.models import resolve

        store = self.named or self.shop.store
        try:
            return store.get(name)
        except StoreError:
            return resolve(name, offline=self.offline, home=store.root)

    def _embedder(self, name: str) -> Served:
        from ragd_tune.models import locate

        found = self._found(name)
        if isinstance(found, BaseModel):
            return self._base(found, EMBEDS)
        wanted, store = found.manifest.base, self.named or self.shop.store
        return self._adapter(found, locate(wanted.name, wanted.fingerprint, store.root))

    def _adapter(self, entry: Entry, base: BaseModel) -> Served:
        from ragd_tune.serve import open_model
        from ragd_tune.serve.load import facts_of

        model = open_model(
            self.shop.registry,
            objective=entry.manifest.objective,
            format=entry.manifest.format,
            base=base,
            adapter=entry.path,
            facts=facts_of(entry.manifest),
            device=self.device,
            side=entry.manifest.side,
        )
        return self.stack.enter_context(model)

    def _base(self, base: BaseModel, objective: str) -> Served:
        from ragd_tune.choose import choose_server
        from ragd_tune.serve import open_model
        from ragd_tune.serve.remembered import Remembered

        registry = self.shop.registry
        choice = choose_server(
            registry.offers(), objective=objective, format="base", device=self.device, base=base
        )

        def open_() -> ServedModel:
            model = open_model(
                registry, objective=objective, format="base", base=base, device=self.device
            )
            return self.stack.enter_context(model)

        identity = {
            "base": base.fingerprint,
            "backend": choice.backend.name,
            "device": choice.device,
            "objective": objective,
        }
        return Remembered(open_, self.cache, identity)


@dataclass(frozen=True, kw_only=True)
class Models(Embedders):
    """What a proof of ``entry`` opens, beside embedders by name."""

    entry: Entry
    base: BaseModel

    def incumbent(self) -> Served:
        """Return the bare base."""
        return self._once("base", lambda: self._base(self.base, self.entry.manifest.objective))

    def candidate(self) -> Served:
        """Return the adapter; of the query side, its documents' vectors are those of the base."""
        adapter = self._once("adapter", lambda: self._adapter(self.entry, self.base))
        if self.entry.manifest.side == "query":
            return Sides(queries=adapter, documents=self.incumbent())
        return adapter
