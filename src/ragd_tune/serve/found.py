"""Looking an adapter up: every byte of it read, every hash compared."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ragd_tune.errors import StoreError
from ragd_tune.models import fingerprint, space_at, space_id
from ragd_tune.plan import BaseModel, ModelFacts
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
        prompts=manifest.prompts.given(),
        settings=dict(manifest.settings),
    )


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


def check_again(found: Found, base: BaseModel) -> None:
    """Check an adapter and its base once more: they may have been replaced since.

    :raises StoreError: they were.
    """
    manifest = Manifest.load(found.path)
    if manifest.content_id != found.manifest.content_id:
        raise StoreError(f"{found.name} was replaced by another adapter", mend="load it again")
    manifest.verify(found.path)
    check_base(base)


def check_base(base: BaseModel) -> None:
    """Check that a base is still the one that was found.

    :raises StoreError: it has changed.
    """
    if fingerprint(base.path) != base.fingerprint:
        raise StoreError(f"the base model in {base.path} has changed", mend="load it again")
