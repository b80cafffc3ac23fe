"""Write an adapter for other programs, through the backend that loads it."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.plan import Device
from ragd_tune.registry import Registry
from ragd_tune.serve import ServedModel
from ragd_tune.store import Entry, Store


def open_adapter(
    registry: Registry,
    store: Store,
    entry: Entry,
    *,
    device: Device | None = None,
    backend: str | None = None,
) -> ServedModel:
    """Open an adapter of any kind; the network is asked for its base if it is not here.

    :raises NotInstalledError: its base, or a backend that loads it, is not here.
    """
    from ragd_tune.models import locate
    from ragd_tune.serve import open_model
    from ragd_tune.serve.load import facts_of

    manifest = entry.manifest
    return open_model(
        registry,
        objective=manifest.objective,
        format=manifest.format,
        base=locate(manifest.base.name, manifest.base.fingerprint, store.root),
        adapter=entry.path,
        facts=facts_of(manifest),
        side=manifest.side,
        device=device,
        backend=backend,
    )


def export_model(
    registry: Registry,
    store: Store,
    ref: str,
    format_: str,
    out: Path,
    *,
    backend: str | None = None,
) -> tuple[Path, ...]:
    """Write the model that the adapter ``ref`` makes of its base, and return the files.

    ``folder`` is one that sentence-transformers loads, ``stanford`` a ColBERT checkpoint; a backend
    may have more. ``backend`` names who loads the adapter and writes; the best one if None.

    :raises UsageError: the backend cannot write it so; says why.
    """
    with open_adapter(registry, store, store.get(ref), backend=backend) as model:
        return tuple(model.export(format_, out))
