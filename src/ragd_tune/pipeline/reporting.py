"""From the records beside an adapter to a report: any time, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import StoreError
from ragd_tune.store import Entry, Record, Store

if TYPE_CHECKING:
    from ragd_tune.report import Story


def write_report(store: Store, ref: str, path: Path, *, number: int | None = None) -> Path:
    """Write the report of an adapter's proof to ``path``; see :mod:`ragd_tune.report`.

    :param number: the record to tell; the last proof if None.
    :raises StoreError: the adapter has no such proof.
    :raises UsageError: a report cannot be written there.
    """
    from ragd_tune.report import write

    return write(story(store, ref, number=number), path)


def story(store: Store, ref: str, *, number: int | None = None) -> Story:
    """Return what is known of an adapter's proof, and of the run that made the adapter.

    :raises StoreError: as :func:`write_report`.
    """
    from ragd_tune.evaluate import Report
    from ragd_tune.report import Story

    entry = store.get(ref)
    records = store.records(entry.id)
    found = _proof(entry, records, number)
    base, data = entry.manifest.base, _part(found, "data")
    return Story(
        adapter=entry.shown,
        id=entry.id,
        kind=entry.kind,
        base=base.name,
        base_fingerprint=base.fingerprint,
        report=Report.from_json(_part(found, "report")),
        data=str(data.get("name", "")),
        data_fingerprint=str(data.get("fingerprint", "")),
        split=str(data.get("split", "")),
        at=found.at,
        imported=found.imported,
        run=_run(records),
    )


def _proof(entry: Entry, records: Sequence[Record], number: int | None) -> Record:
    proofs = [one for one in records if one.type == "proof"]
    wanted = [one for one in proofs if number in (None, one.number)]
    # One that was made here says more than one that came along.
    own = [one for one in wanted if not one.imported]
    if own or wanted:
        return (own or wanted)[-1]
    what = "no proof yet" if number is None else f"no proof with the number {number}"
    numbers = ", ".join(str(one.number) for one in proofs)
    mend = f"its proofs are {numbers}" if numbers else "`ragd-tune evaluate` makes one"
    raise StoreError(f"{entry.shown} has {what}", mend=mend)


def _part(record: Record, name: str) -> dict[str, Any]:
    """Return a part of a record; empty where somebody else's record has none."""
    found = record.payload.get(name)
    return found if isinstance(found, dict) else {}


def _run(records: Sequence[Record]) -> Any:
    from ragd_tune.report import Run

    made = [one for one in records if one.type == "provenance"]
    return Run.read(made[-1].payload) if made else None
