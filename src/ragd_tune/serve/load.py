"""From a name, an id or a folder to a model that is ready, everything about it checked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, overload

from ragd_tune.backends import Precision
from ragd_tune.errors import UsageError
from ragd_tune.kinds import Slot
from ragd_tune.models import locate, resolve, space_id
from ragd_tune.plan import BaseModel, Device
from ragd_tune.registry import Registry, discover
from ragd_tune.serve import onnx
from ragd_tune.serve.embedder import Embedder
from ragd_tune.serve.found import Found as Found
from ragd_tune.serve.found import check_base
from ragd_tune.serve.found import facts_of as facts_of
from ragd_tune.serve.found import find as find
from ragd_tune.serve.found import space_of as space_of
from ragd_tune.serve.generator import Generator
from ragd_tune.serve.opening import Loaded as Loaded
from ragd_tune.serve.opening import Opening, opened
from ragd_tune.serve.reranker import Reranker
from ragd_tune.serve.served import ServedModel, open_model
from ragd_tune.store import Store


@overload
def load(
    ref: str | Path,
    *,
    slot: Literal["embedder"],
    home: Path | None = None,
    device: Device | None = None,
    backend: str | None = None,
    registry: Registry | None = None,
    dimension: int | None = None,
    precision: Precision = "fp32",
    offline: bool | None = None,
    lazy: bool = False,
) -> Embedder: ...
@overload
def load(
    ref: str | Path,
    *,
    slot: Literal["reranker"],
    home: Path | None = None,
    device: Device | None = None,
    backend: str | None = None,
    registry: Registry | None = None,
    dimension: None = None,
    precision: Precision = "fp32",
    offline: bool | None = None,
    lazy: bool = False,
) -> Reranker: ...
@overload
def load(
    ref: str | Path,
    *,
    slot: Literal["generator"],
    home: Path | None = None,
    device: Device | None = None,
    backend: str | None = None,
    registry: Registry | None = None,
    dimension: None = None,
    precision: Precision = "fp32",
    offline: bool | None = None,
    lazy: bool = False,
) -> Generator: ...
@overload
def load(
    ref: str | Path,
    *,
    slot: None = None,
    home: Path | None = None,
    device: Device | None = None,
    backend: str | None = None,
    registry: Registry | None = None,
    dimension: int | None = None,
    precision: Precision = "fp32",
    offline: bool | None = None,
    lazy: bool = False,
) -> Loaded: ...
def load(
    ref: str | Path,
    *,
    slot: Slot | None = None,
    home: Path | None = None,
    device: Device | None = None,
    backend: str | None = None,
    registry: Registry | None = None,
    dimension: int | None = None,
    precision: Precision = "fp32",
    offline: bool | None = None,
    lazy: bool = False,
) -> Loaded:
    """Return the embedder, the reranker or the generator that an adapter is, by its kind.

    ``ref`` is a name, an id or its first letters, or the folder of an adapter, or of an export to
    ONNX (which is what it is: ``precision`` does not change it). Every file's hash and the base's
    fingerprint are checked before anything is loaded.

    :param slot: what it has to be; anything that serves if None.
    :param home: the store's root; ``$RAGD_TUNE_HOME``, else ``~/.ragd/tune``.
    :param device: where to run; the backend's best if None. ``backend`` narrows the choice.
    :param dimension: cut the vectors to their first values (Matryoshka).
    :param precision: ``auto`` computes in bfloat16 where the processor is faster at it: vectors are
        float32 all the same, at a cosine above 0.999 to the exact ones.
    :param offline: do not ask the hub for a base that is not here.
    :param lazy: check now, and load at the first call.
    :raises StoreError: there is no such adapter, it is damaged, or its base is another one.
    :raises UsageError: it is no such model, or has no such dimension.
    :raises NotInstalledError: its base, or a backend that loads it, is not here.
    """
    exported = onnx.asked(ref, slot=slot, device=device, backend=backend)
    if exported is not None:
        return onnx.load(exported, dimension=dimension, lazy=lazy)
    store = Store(home)
    found = find(store, ref)
    registry = registry or discover()
    serves = _serves(registry, found, slot)
    opening = Opening(
        registry=registry,
        found=found,
        base=_base_of(found, store.root, offline=offline),
        device=device,
        backend=backend,
        dimension=dimension,
        precision=precision,
        lazy=lazy,
    )
    model = opened(opening, serves)
    if not lazy:
        model.load()
    return model


def _base_of(found: Found, root: Path, *, offline: bool | None) -> BaseModel:
    reference = found.manifest.base
    return locate(reference.name, reference.fingerprint, root, offline=offline)


def load_base(
    name: str,
    *,
    home: Path | None = None,
    device: Device | None = None,
    backend: str | None = None,
    registry: Registry | None = None,
    dimension: int | None = None,
    max_length: int | None = None,
    precision: Precision = "fp32",
    offline: bool | None = None,
    objective: str = "contrastive",
    lazy: bool = False,
) -> Embedder:
    """Return the embedder of a bare base model, loaded through the same hook as any adapter.

    ``name`` and what is raised are as in :func:`ragd_tune.models.resolve`; its id is its
    fingerprint. ``max_length`` (tokens) replaces the base's own; ``precision`` is as in
    :func:`load`.
    """
    root = Store(home).root
    registry = registry or discover()
    base = resolve(name, offline=offline, home=root)

    def open_() -> ServedModel:
        if lazy:
            check_base(base)
        return open_model(
            registry,
            objective=objective,
            format="base",
            base=base,
            device=device,
            backend=backend,
            dimension=dimension,
            max_length=max_length,
            precision=precision,
        )

    embedder = Embedder(
        open_,
        id=base.fingerprint,
        name=name,
        facts=None,
        space=lambda facts: space_id(facts, encoder=base.fingerprint),
    )
    return _ready(embedder, lazy=lazy)


def _serves(registry: Registry, found: Found, wanted: Slot | None) -> Slot:
    """Return what the adapter's kind serves; an embedder where the kind is not installed.

    :raises UsageError: it is not ``wanted``, or nothing that is loaded here.
    """
    kind = registry.kinds.get(found.manifest.kind)
    serves: Slot | None = kind.serves if kind is not None else None
    if serves is None and found.manifest.dimension:
        serves = "embedder"
    if serves is not None and wanted in (None, serves):
        return serves
    what = f"an {serves}" if serves == "embedder" else f"a {serves or 'stranger here'}"
    raise UsageError(
        f"{found.name} is {what} ({found.manifest.kind})",
        mend=f"name an adapter that is {_ARTICLES[wanted]}",
    )


_ARTICLES = {
    None: "an embedder, a reranker or a generator",
    "embedder": "an embedder, as a bi-encoder's",
    "reranker": "a reranker, as a cross-encoder's",
    "generator": "a generator, as a RAFT model's",
}


def _ready(embedder: Embedder, *, lazy: bool) -> Embedder:
    if not lazy:
        embedder.load()
    return embedder
