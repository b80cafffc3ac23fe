"""Compare an adapter with what it would replace, and keep the proof beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune import config
from ragd_tune.data import DataSet, check, read
from ragd_tune.data.leaks import leaks
from ragd_tune.errors import DataError, UsageError
from ragd_tune.kinds import ModelKind, Trial
from ragd_tune.options import Value
from ragd_tune.pipeline.forgetting import Other, forgetting
from ragd_tune.pipeline.opening import Models
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Device
from ragd_tune.store import Entry, Record, Store

if TYPE_CHECKING:
    from ragd_tune.backends import Precision
    from ragd_tune.evaluate import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """An adapter's proof on one split of one data set."""

    entry: Entry
    report: Report
    split: str


def prove(
    shop: Workshop,
    ref: str,
    data: DataSet | Path,
    *,
    split: str = "test",
    dimensions: tuple[int, ...] = (),
    device: Device | None = None,
    strict: bool = False,
    base: BaseModel | None = None,
    options: Mapping[str, object] | None = None,
    other: Other | None = None,
    named: Store | None = None,
    precision: Precision = "auto",
) -> Proved:
    """Compare the adapter ``ref`` with its incumbent on ``split`` and record the result.

    Queries that leaked from training into the split are left out and counted; ``strict`` makes
    them an error.

    :param base: where the adapter's base is, when the caller knows it already; its fingerprint
        is checked all the same.
    :param options: the kind's own of the group ``proof``, by name; None is "not given".
    :param other: another domain, where an embedder must not lose more than is allowed.
    :param named: the store of the adapters that the options name, where it is another one.
    :param precision: ``auto`` lets both sides compute in bfloat16 where the backend is faster at
        it; the report says what they did.
    :raises UsageError: an option that this kind's proof does not read, or out of its range.
    :raises DataError: the split has no queries, or leaks under ``strict``.
    """
    from ragd_tune.models import locate

    data = data if isinstance(data, DataSet) else read(data)
    entry = shop.store.get(ref)
    manifest = entry.manifest
    kind = shop.registry.kind(manifest.kind)
    judging = _followed(kind, _judging(kind, options or {}), shop.store.records(entry.id))
    if not data.judges(split, scored=kind.serves == "embedder"):
        raise DataError(
            f"{data.source}: there is no {split} split to prove anything on",
            mend="`ragd-tune data split` makes one",
        )
    shop.progress("checking the data", 0.0)
    leaked = frozenset(leak.qid for leak in leaks(data))
    if strict and leaked:
        check(data, strict=True)  # says which, with file and line
    if base is None or base.fingerprint != manifest.base.fingerprint:
        base = locate(manifest.base.name, manifest.base.fingerprint, shop.store.root)
    with ExitStack() as stack:
        models = Models(
            shop=shop,
            stack=stack,
            entry=entry,
            base=base,
            device=device,
            named=named,
            precision=precision,
        )
        trial = Trial(
            data=data,
            split=split,
            exclude=leaked,
            dimensions=dimensions or tuple(manifest.dimensions),
            looks=shop.store.look(looked_at(data, split), entry.id),
            open_incumbent=models.incumbent,
            open_candidate=models.candidate,
            open_embedder=models.embedder,
            options=judging,
            progress=shop.progress,
        )
        report = replace(
            kind.prove(trial),
            generated=generated(data, split),
            elsewhere=forgetting(kind, trial, other),
            side=manifest.side,
            precision=models.computed,
        )
    shop.store.record(entry.id, "proof", record(report, data, split))
    return Proved(entry=entry, report=report, split=split)


def _judging(kind: ModelKind, given: Mapping[str, object]) -> dict[str, Value]:
    """Return every option of the kind's proof: as given, from the environment, or its default."""
    own = [option for option in kind.options if option.group == "proof"]
    layer = config.flags(given)
    for name in layer.values.keys() - {option.name for option in own}:
        raise UsageError(
            f"{layer.values[name][1]}: the proof of a {kind.name} does not read it",
            mend=f"it reads {', '.join(option.flag for option in own) or 'no options'}",
        )
    settled = config.settle(own, [config.environment(own), layer])
    return {name: setting.value for name, setting in settled.items()}


def _followed(
    kind: ModelKind, judging: Mapping[str, Value], records: Sequence[Record]
) -> dict[str, Value]:
    """Return the options of a proof, those that are not set as the last training had them.

    A record that was imported names files of another machine, and is not followed.
    """
    made = [one.payload for one in records if one.type == "provenance" and not one.imported]
    plan = made[-1].get("plan") if made else None
    trained = plan.get("options") if isinstance(plan, dict) else None
    known = trained if isinstance(trained, dict) else {}
    follows = {option.name: option.follows for option in kind.options if option.follows}
    return {
        name: known.get(follows[name]) if value is None and name in follows else value
        for name, value in judging.items()
    }


def generated(data: DataSet, split: str) -> bool:
    """Say whether the questions of ``split`` were made from the documents, as the data says."""
    made = data.about.get("generated")
    return made is True or (isinstance(made, list | tuple) and split in made)


def looked_at(data: DataSet, split: str) -> str:
    """Return the name under which looks at this test set are counted."""
    return f"{data.fingerprint}-{split}"


def record(report: Report, data: DataSet, split: str) -> Mapping[str, object]:
    """Return what the records keep of a proof."""
    return {
        "data": {"name": data.source.name, "fingerprint": data.fingerprint, "split": split},
        "passed": report.passed,
        **headline(report),
        "report": report.to_json(),
    }


def headline(report: Report) -> dict[str, object]:
    """Return the numbers that decide: metric, both means, difference, interval, p and n."""
    gate, told = report.gate, report.gate.difference
    return {
        "metric": gate.metric if gate.dims is None else f"{gate.metric} at {gate.dims}",
        "base": gate.before,
        "adapter": gate.after,
        "difference": told.mean,
        "interval": [told.low, told.high],
        "p": told.p,
        "n": told.queries,
        "clusters": told.clusters,
        "precision": report.precision,
        "questions": "generated questions" if report.generated else "given",
        "reason": report.reason,
    }
