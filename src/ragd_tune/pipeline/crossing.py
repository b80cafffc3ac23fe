"""Adapters in the formats of other programs: out of the store, and into it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ragd_tune.errors import RefusedAdapterError, UsageError
from ragd_tune.interchange import mlx, peft, quantised
from ragd_tune.interchange.lora import Lora
from ragd_tune.plan import BaseModel, ModelFacts
from ragd_tune.registry import Registry
from ragd_tune.store import Entry, Manifest, Store

OURS = "ragd-tune"
FOREIGN: Mapping[str, str] = {"peft": peft.WEIGHTS, "mlx": mlx.WEIGHTS}
"""Formats of others, with the file that tells one."""
_READ: Mapping[str, Callable[[Path], Lora]] = {"peft": peft.read, "mlx": mlx.read}
_TASKS = {"CAUSAL_LM": "causal_lm", "FEATURE_EXTRACTION": "contrastive", "SEQ_CLS": "relevance"}
"""What PEFT's tasks are called here."""


def export_folder(store: Store, ref: str, out: Path, *, format: str) -> list[Path]:
    """Write an adapter into the folder ``out`` as another program reads it; return the files.

    :raises RefusedAdapterError: it holds something that does not cross; names it.
    :raises UsageError: ``out`` is there already, or the adapter is not of low rank.
    """
    entry = store.get(ref)
    if entry.manifest.format != "peft":
        raise UsageError(
            f"{entry.shown} is in format {entry.manifest.format}, and only LoRA crosses",
            mend=_instead(entry),
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is there already", mend="name a folder that is not")
    beside = sorted(set(entry.manifest.files) - {peft.CONFIG, peft.WEIGHTS})
    if beside and format == "mlx":
        raise RefusedAdapterError(
            f"{entry.shown}: has {beside[0]} beside its matrices, which mlx-lm cannot hold",
            mend="--format peft keeps it",
        )
    found = peft.read(entry.path)
    named = replace(
        found,
        base_name=found.base_name or entry.manifest.base.name,
        quantised=found.quantised or quantised.note(entry.manifest.settings),
    )
    out.mkdir(parents=True, exist_ok=True)
    written = (mlx.write if format == "mlx" else peft.write)(named, out)
    for name in beside:
        written.append(Path(shutil.copyfile(entry.path / name, out / name)))
    return sorted(written)


def _instead(entry: Entry) -> str:
    """Return what can be done with an adapter that is not of low rank."""
    if entry.manifest.format == "full":
        return f"its folder is a whole model, which the libraries load: {entry.path}"
    holds = "a matrix for queries' vectors" if entry.manifest.format == "map" else "its own format"
    return (
        f"its folder holds {holds}, which ragd-tune alone reads: "
        f"`ragd-tune adapters export {entry.shown} FILE` takes it to another machine"
    )


def format_of(source: Path) -> str:
    """Return the format of a folder or an archive, by the files that are there."""
    found = [name for name, file in FOREIGN.items() if (source / file).is_file()]
    return OURS if not found or (source / "ragd-tune.json").is_file() else found[0]


def import_folder(
    store: Store,
    registry: Registry,
    source: Path,
    *,
    format: str,
    kind: str | None = None,
    base: str | None = None,
    name: str | None = None,
) -> Entry:
    """Bring a folder of another program into the store, in PEFT's format.

    The adapter is loaded on its base once: what does not fit is refused, and what the manifest
    says of the model is what the backend found.

    :param kind: needed where the folder does not say what it was trained for.
    :param base: needed where the folder does not say what it was trained on.
    :raises RefusedAdapterError: it holds something that does not cross; names it.
    :raises TuneError: it does not fit the base.
    """
    from ragd_tune.models import remember, resolve
    from ragd_tune.store import safety

    safety.check_folder(source)
    adapter = _READ[format](source)
    wanted = base or adapter.base_name
    if not wanted:
        raise UsageError(f"{source}: does not say what it was trained on", mend="--base BASE")
    found = resolve(wanted, offline=True, home=store.root)
    made = _kind(registry, source, adapter, kind)
    draft = store.draft()
    try:
        portable = replace(adapter, base_name="" if Path(wanted).exists() else wanted)
        peft.write(portable, draft)
        objective = registry.kind(made).objectives[0]
        facts = _facts(registry, objective, found, draft, adapter)
        manifest = _manifest(registry, made, found, draft, facts, adapter)
        remember(store.root, found)
        store.commit(draft, manifest, names=[name] if name else [])
    finally:
        store.discard(draft)
    store.record(manifest.content_id, "imported", {"format": format})
    return store.get(manifest.content_id)


def _kind(registry: Registry, source: Path, adapter: Lora, kind: str | None) -> str:
    """Return the kind of model: what was asked for, else the one with the adapter's task."""
    if kind is not None:
        return registry.kind(kind).name
    objective = _TASKS.get(str(adapter.task))
    fitting = sorted(n for n, one in registry.kinds.items() if objective in one.objectives)
    if len(fitting) != 1:
        raise UsageError(
            f"{source}: does not say what kind of model it is for",
            mend=f"--kind, one of {', '.join(sorted(registry.kinds))}",
        )
    return fitting[0]


def _facts(
    registry: Registry, objective: str, base: BaseModel, draft: Path, adapter: Lora
) -> ModelFacts:
    """Load the adapter on its base, and return what the backend says of it."""
    from ragd_tune.serve.served import open_model

    with open_model(registry, objective=objective, format="base", base=base) as bare:
        facts = bare.facts
    if adapter.quantised is not None:
        own = {key: str(value) for key, value in adapter.quantised.items()}
        facts = replace(facts, settings={**facts.settings, **own})
    with open_model(
        registry, objective=objective, format="peft", base=base, adapter=draft, facts=facts
    ) as loaded:
        return loaded.facts


def _manifest(
    registry: Registry,
    kind: str,
    base: BaseModel,
    draft: Path,
    facts: ModelFacts,
    adapter: Lora,
) -> Manifest:
    from ragd_tune.models import files_digest, space_id
    from ragd_tune.pipeline.training import shareable

    known = registry.kind(kind)
    embeds = known.serves == "embedder"
    space = space_id(facts, encoder=files_digest(draft, base.fingerprint)) if embeds else None
    return Manifest.build(
        draft,
        kind=kind,
        objective=known.objectives[0],
        tuning=_tuning(adapter),
        side="both",
        format="peft",
        base={"name": shareable(base.name), "fingerprint": base.fingerprint},
        dimension=facts.dimension,
        dimensions=facts.dimensions,
        max_length=facts.max_length,
        prompts=dict(facts.prompts),
        pooling=facts.pooling,
        normalise=facts.normalise,
        settings=dict(facts.settings),
        space=space,
    )


def _tuning(adapter: Lora) -> str:
    if adapter.quantised is not None:
        return "qlora"
    return "dora" if adapter.dora else "lora"
