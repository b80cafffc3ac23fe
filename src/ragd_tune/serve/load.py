"""From a name, an id or a folder to an embedder that is ready, everything about it checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ragd_tune.errors import StoreError, UsageError
from ragd_tune.models import fingerprint, locate, resolve, space_at, space_id
from ragd_tune.plan import BaseModel, Device, ModelFacts
from ragd_tune.registry import Registry, discover
from ragd_tune.serve.embedder import Embedder
from ragd_tune.serve.served import ServedModel, cut, open_model
from ragd_tune.store import Manifest, Store, catalogue, safety

_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An adapter that was looked up and checked: its name for people, its folder, its manifest."""

    name: str
    path: Path
    manifest: Manifest


def facts_of(manifest: Manifest) -> ModelFacts:
    """Return the manifest's facts as a backend takes them."""
    return ModelFacts(
        dimension=manifest.dimension,
        dimensions=tuple(manifest.dimensions),
        max_length=manifest.max_length,
        pooling=manifest.pooling,
        normalise=manifest.normalise,
        prompts=dict(manifest.prompts),
        settings=dict(manifest.settings),
    )


def load(
    ref: str | Path,
    *,
    home: Path | None = None,
    device: Device | None = None,
    backend: str | None = None,
    registry: Registry | None = None,
    dimension: int | None = None,
    offline: bool | None = None,
    lazy: bool = False,
) -> Embedder:
    """Return the embedder of an adapter.

    ``ref`` is a name, an id or its first letters, or the folder of an adapter. Every file's hash
    and the base's fingerprint are checked before anything is loaded.

    :param home: the store's root; ``$RAGD_TUNE_HOME``, else ``~/.ragd/tune``.
    :param device: where to run; the backend's best if None. ``backend`` narrows the choice.
    :param dimension: cut the vectors to their first values (Matryoshka).
    :param offline: do not ask the hub for a base that is not here.
    :param lazy: check now, and load at the first call.
    :raises StoreError: there is no such adapter, it is damaged, or its base is another one.
    :raises UsageError: it is no embedder, or has no such dimension.
    :raises NotInstalledError: its base, or a backend that loads it, is not here.
    """
    store = Store(home)
    found = find(store, ref)
    registry = registry or discover()
    _must_embed(registry, found)
    facts = facts_of(found.manifest)
    at_hand = cut(facts, dimension)
    reference = found.manifest.base
    base = locate(reference.name, reference.fingerprint, store.root, offline=offline)

    def open_() -> ServedModel:
        if lazy:  # what was checked then may have been replaced since
            _check_again(found, base)
        return open_model(
            registry,
            objective=found.manifest.objective,
            format=found.manifest.format,
            base=base,
            adapter=found.path,
            facts=facts,
            device=device,
            backend=backend,
            dimension=dimension,
        )

    embedder = Embedder(
        open_,
        id=found.manifest.content_id,
        name=found.name,
        facts=at_hand,
        space=lambda _: space_of(found.manifest, dimension),
        one_encoder=found.manifest.side == "both",
    )
    return _ready(embedder, lazy=lazy)


def load_base(
    name: str,
    *,
    home: Path | None = None,
    device: Device | None = None,
    backend: str | None = None,
    registry: Registry | None = None,
    dimension: int | None = None,
    max_length: int | None = None,
    offline: bool | None = None,
    objective: str = "contrastive",
    lazy: bool = False,
) -> Embedder:
    """Return the embedder of a bare base model, loaded through the same hook as any adapter.

    ``name`` and what is raised are as in :func:`ragd_tune.models.resolve`; its id is its
    fingerprint. ``max_length`` (tokens) replaces the base's own.
    """
    root = Store(home).root
    registry = registry or discover()
    base = resolve(name, offline=offline, home=root)

    def open_() -> ServedModel:
        if lazy:
            _check_base(base)
        return open_model(
            registry,
            objective=objective,
            format="base",
            base=base,
            device=device,
            backend=backend,
            dimension=dimension,
            max_length=max_length,
        )

    embedder = Embedder(
        open_,
        id=base.fingerprint,
        name=name,
        facts=None,
        space=lambda facts: space_id(facts, encoder=base.fingerprint),
    )
    return _ready(embedder, lazy=lazy)


def find(store: Store, ref: str | Path) -> Found:
    """Look an adapter up and read every byte of it.

    :raises StoreError: there is none, or it is damaged.
    """
    if isinstance(ref, Path) or _is_written_as_path(ref):
        path = Path(ref).expanduser()
        if not path.is_dir():
            raise StoreError(f"{path}: there is no such folder", mend="name an adapter's folder")
        path = path.resolve()
        safety.check_folder(path)
        manifest = Manifest.load(path)
        manifest.verify(path)
        return Found(name=path.name, path=path, manifest=manifest)
    entry = store.get(ref)
    return Found(name=entry.shown, path=entry.path, manifest=catalogue.check_sound(entry.path))


def space_of(manifest: Manifest, dimension: int | None = None) -> str:
    """Return the id of the space that an adapter's documents lie in, cut to ``dimension``."""
    space = manifest.space
    if space is None:
        raise StoreError(
            f"the adapter {manifest.content_id[:_SHORT]} does not say which space it embeds into",
            mend="train it again",
        )
    if dimension is None or dimension == manifest.dimension:
        return space
    if manifest.side == "query":  # the documents are the base's, and so is their space when cut
        cut = replace(facts_of(manifest), dimension=dimension)
        return space_id(cut, encoder=manifest.base.fingerprint)
    return space_at(space, dimension)


def _is_written_as_path(ref: str) -> bool:
    separators = [os.sep, *([os.altsep] if os.altsep else []), "/"]
    return ref.startswith((".", "~")) or any(one in ref for one in separators)


def _must_embed(registry: Registry, found: Found) -> None:
    kind = registry.kinds.get(found.manifest.kind)
    if (kind is not None and kind.serves != "embedder") or not found.manifest.dimension:
        what = f"a {kind.serves}" if kind is not None else "no embedder"
        raise UsageError(
            f"{found.name} is {what} ({found.manifest.kind})", mend="name a bi-encoder's adapter"
        )


def _check_again(found: Found, base: BaseModel) -> None:
    manifest = Manifest.load(found.path)
    if manifest.content_id != found.manifest.content_id:
        raise StoreError(f"{found.name} was replaced by another adapter", mend="load it again")
    manifest.verify(found.path)
    _check_base(base)


def _check_base(base: BaseModel) -> None:
    if fingerprint(base.path) != base.fingerprint:
        raise StoreError(f"the base model in {base.path} has changed", mend="load it again")


def _ready(embedder: Embedder, *, lazy: bool) -> Embedder:
    if not lazy:
        embedder.load()
    return embedder
