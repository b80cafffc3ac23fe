"""Open the models that a proof compares: each once, closed together, the base's vectors kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ragd_tune.errors import NoBackendError, PluginError, StoreError
from ragd_tune.kinds import Served
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Device, ModelFacts, Role, Side
from ragd_tune.store import Entry, Store, VectorCache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.backends import Computed, Limits, MultiVector, Precision, RerankRequest
    from ragd_tune.choose import Choice
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

    def _adapter(self, entry: Entry, base: BaseModel, precision: Precision = "fp32") -> ServedModel:
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
            precision=precision,
            side=entry.manifest.side,
        )
        return self.stack.enter_context(model)

    def _chosen(self, objective: str, format_: str, base: BaseModel, side: Side = "both") -> Choice:
        from ragd_tune.choose import choose_server

        return choose_server(
            self.shop.registry.offers(),
            objective=objective,
            format=format_,
            side=side,
            device=self.device,
            base=base,
        )

    def _base(self, base: BaseModel, objective: str, computed: Computed = "fp32") -> Served:
        from ragd_tune.serve import open_model
        from ragd_tune.serve.remembered import Remembered

        choice = self._chosen(objective, "base", base)

        def open_() -> ServedModel:
            model = open_model(
                self.shop.registry,
                objective=objective,
                format="base",
                base=base,
                device=self.device,
                precision="fp32" if computed == "fp32" else "auto",
            )
            self.stack.enter_context(model)
            if model.precision != computed:  # and so would be kept under a wrong name
                raise PluginError(
                    f"the backend {model.backend} computes the adapter in {computed} and the base "
                    f"in {model.precision}: a difference would tell of both",
                    mend="--proof-precision fp32",
                )
            return model

        identity = {
            "base": base.fingerprint,
            "backend": choice.backend.name,
            "device": choice.device,
            "objective": objective,
            "precision": computed,
        }
        return Remembered(open_, self.cache, identity)


@dataclass(frozen=True, kw_only=True)
class Models(Embedders):
    """What a proof of ``entry`` opens, beside embedders by name.

    ``precision`` ``auto`` lets both sides compute in bfloat16 where the backend is faster at it.
    They always compute in the same: see :attr:`computed`.
    """

    entry: Entry
    base: BaseModel
    precision: Precision = "auto"

    @cached_property
    def computed(self) -> Computed:
        """What adapter and base compute in; loads the adapter where that is open.

        bfloat16 needs one backend on one device for both.
        """
        return "fp32" if self._allowed == "fp32" else self._candidate.precision

    @cached_property
    def _allowed(self) -> Precision:
        manifest = self.entry.manifest
        if self.precision == "fp32":
            return "fp32"
        try:
            one = self._chosen(manifest.objective, manifest.format, self.base, manifest.side)
            two = self._chosen(manifest.objective, "base", self.base)
        except NoBackendError:  # whoever opens that side will say so
            return "fp32"
        alike = one.backend.name == two.backend.name and one.device == two.device
        return "auto" if alike else "fp32"

    def incumbent(self) -> Served:
        """Return the bare base."""
        objective = self.entry.manifest.objective
        return self._once("base", lambda: self._base(self.base, objective, self.computed))

    def candidate(self) -> Served:
        """Return the adapter; of the query side, its documents' vectors are those of the base."""
        if self.entry.manifest.side == "query":
            return Sides(queries=self._candidate, documents=self.incumbent())
        return self._candidate

    @cached_property
    def _candidate(self) -> ServedModel:
        return self._adapter(self.entry, self.base, self._allowed)
