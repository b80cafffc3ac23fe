"""Compare an adapter with what it would replace, and keep the proof beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet, check, read
from ragd_tune.data.leaks import leaks
from ragd_tune.errors import DataError
from ragd_tune.kinds import Served, Trial
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Device
from ragd_tune.store import Entry

if TYPE_CHECKING:
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
) -> Proved:
    """Compare the adapter ``ref`` with its incumbent on ``split`` and record the result.

    Queries that leaked from training into the split are left out and counted; ``strict`` makes
    them an error.

    :param base: where the adapter's base is, when the caller knows it already; its fingerprint
        is checked all the same.
    :raises DataError: the split has no queries, or leaks under ``strict``.
    """
    from ragd_tune.models import locate

    data = data if isinstance(data, DataSet) else read(data)
    entry = shop.store.get(ref)
    manifest = entry.manifest
    kind = shop.registry.kind(manifest.kind)
    if split not in data.qrels:
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
        report = kind.prove(
            Trial(
                data=data,
                split=split,
                exclude=leaked,
                dimensions=dimensions or tuple(manifest.dimensions),
                looks=shop.store.look(looked_at(data, split), entry.id),
                open_incumbent=_opener(shop, stack, entry, base, device, adapter=False),
                open_candidate=_opener(shop, stack, entry, base, device, adapter=True),
                progress=shop.progress,
            )
        )
    shop.store.record(entry.id, "proof", record(report, data, split))
    return Proved(entry=entry, report=report, split=split)


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
        "reason": report.reason,
    }


def _opener(
    shop: Workshop,
    stack: ExitStack,
    entry: Entry,
    base: BaseModel,
    device: Device | None,
    *,
    adapter: bool,
) -> Callable[[], Served]:
    from ragd_tune.serve import open_model
    from ragd_tune.serve.load import facts_of

    def open_() -> Served:
        model = open_model(
            shop.registry,
            objective=entry.manifest.objective,
            format=entry.manifest.format if adapter else "base",
            base=base,
            adapter=entry.path if adapter else None,
            facts=facts_of(entry.manifest) if adapter else None,
            device=device,
        )
        return stack.enter_context(model)

    return open_
