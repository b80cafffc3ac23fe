"""Advice on a data set, or on documents, which become one for the measuring."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ragd_tune.advise import Advice, Facts, Hardware, recommend
from ragd_tune.advise.measure import measure
from ragd_tune.config import ragd_path
from ragd_tune.data import DataSet, read
from ragd_tune.data.findings import UnusableDataError
from ragd_tune.data.tokens import counter
from ragd_tune.errors import NotInstalledError, UsageError
from ragd_tune.kinds import Tier
from ragd_tune.models import resolve
from ragd_tune.pipeline.generating import Generation, embedding, generate_data
from ragd_tune.pipeline.host_base import base_of
from ragd_tune.pipeline.planning import memory
from ragd_tune.pipeline.proving import generated
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd.tiers import BASES, tier_here


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """Advice, and what it was made from."""

    advice: Advice
    facts: Facts
    data: DataSet
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return what ``--json`` shows."""
        return {
            **self.advice.to_json(),
            "facts": self.facts.to_json(),
            "data": str(self.data.source),
            "notes": list(self.notes),
        }


def advise(
    shop: Workshop, paths: tuple[Path, ...], *, base: str | None = None, offline: bool | None = None
) -> Advised:
    """Measure the data set or the documents at ``paths`` against ``base``, and advise.

    ``base`` is ragd's own embedder if None, else the one that every machine can run.

    Documents are made into a set without a language model, kept in the store's ``datasets``.

    :raises DataError: there is nothing that can be read.
    """
    notes: list[str] = []
    usual = base_of(shop.store, None)
    base = base or usual
    data = _set_at(shop, paths, base, offline, notes)
    split = next((name for name in ("test", "dev", "train") if name in data.qrels), "train")
    machine = hardware(shop)
    made = generated(data, split)
    weights = None
    try:
        found = resolve(base, offline=offline, home=shop.store.root)
        weights = sum(path.stat().st_size for path in found.path.glob("*.safetensors")) or None
        count = counter(found.path)
        with embedding(shop, base, offline=offline) as embed:
            facts = measure(
                data,
                machine,
                split=split,
                generated=made,
                embed=embed,
                count=count,
                progress=shop.progress,
            )
    except (NotInstalledError, UsageError) as error:
        notes.append(f"not measured with a model: {error.message.splitlines()[0]}")
        facts = measure(data, machine, split=split, generated=made)
    raft = any(data.source.glob("raft_train.jsonl*")) if data.source.is_dir() else False
    kinds = tuple(shop.registry.kinds)
    notes.extend(_larger_base(machine.tier, base))
    named = "" if base == usual else base
    advice = recommend(
        facts,
        data=str(data.source),
        base=named,
        raft_rows=raft,
        kinds=kinds,
        weights=weights,
    )
    return Advised(advice=advice, facts=facts, data=data, notes=tuple(notes))


def hardware(shop: Workshop) -> Hardware:
    """Return what this machine has, and the devices that an installed backend can train on."""
    found = {one for offer in shop.registry.offers() for one in _devices(offer.found)}
    return Hardware(
        cores=os.cpu_count() or 1,
        memory=memory(),
        devices=tuple(sorted(found)),
        tier=tier_here(ragd_path()),
    )


def _larger_base(tier: Tier, base: str) -> tuple[str, ...]:
    """Say which base ragd would choose for this machine, if it is a larger one."""
    own = BASES[tier]
    if own in (base, BASES["standard"]):
        return ()
    return (f"ragd calls this machine {tier}, for which it has {own}: compare by --base {own}",)


def _devices(found: object) -> tuple[str, ...]:
    return () if getattr(found, "reason", "") else tuple(getattr(found, "devices", ()))


def _set_at(
    shop: Workshop, paths: tuple[Path, ...], base: str, offline: bool | None, notes: list[str]
) -> DataSet:
    """Return the data set at a single path that is one; else make one of the documents."""
    if len(paths) == 1 and paths[0].exists():
        try:
            return read(paths[0])
        except UnusableDataError:
            pass  # documents, or a set that is broken: reading it as documents will tell
    asked = Generation(documents=paths, base=base, offline=offline, off=frozenset({"round-trip"}))
    made = generate_data(shop, replace(asked, out=shop.store.datasets / "advice", force=True))
    notes.extend(made.notes)
    notes.append(f"documents were made into the data set {made.data.source}")
    return made.data
