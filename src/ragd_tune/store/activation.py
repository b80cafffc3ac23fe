"""Which adapter serves each slot: activation, rollback, and a history without gaps.

``active.json`` holds the last entry of every slot; replacing it in one step *is* the activation.
``history.jsonl`` gets the same entry right after. A process that dies in between leaves a history
that lacks at most that one entry, and ``active.json`` holds it: readers add it to what they show,
and the next writer appends it before anything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import pydantic
from pydantic import ConfigDict, Field, StringConstraints

from ragd_tune.errors import NotProvenError, StoreError, UsageError
from ragd_tune.store import files
from ragd_tune.store.journal import append_line, read_lines, to_json
from ragd_tune.store.layout import Layout
from ragd_tune.store.manifest import Slug, check_schema, describe
from ragd_tune.store.records import PROOF, Record, now

SLOTS = ("embedder", "reranker", "generator")
_Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Activation(pydantic.BaseModel):
    """One change of a slot. ``sequence`` counts all changes of the store from 1.

    ``id`` is what serves from then on and ``previous`` what served before; null is the bare base.
    ``forced`` says that the proof did not carry it. ``at`` is UTC, ISO 8601.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    sequence: Annotated[int, Field(ge=1)]
    action: Literal["activate", "rollback", "deactivate"]
    slot: Slug
    id: _Id | None
    kind: Slug | None
    previous: _Id | None
    forced: bool = False
    at: str

    def to_bytes(self) -> bytes:
        """Return canonical JSON."""
        return to_json(self.model_dump(mode="json", by_alias=True))


class _State(pydantic.BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    slots: dict[Slug, Activation]


def read_active(layout: Layout) -> dict[str, Activation]:
    """Return the last change of every slot. Needs no lock: the file is only ever replaced.

    :raises StoreError: the file is damaged, or newer than this version.
    """
    raw = files.read_bytes(layout.active)
    if raw is None:
        return {entry.slot: entry for entry in _read_history(layout)}
    check_schema(raw, str(layout.active))
    try:
        return dict(_State.model_validate_json(raw).slots)
    except pydantic.ValidationError as error:
        raise StoreError(
            f"{layout.active}: {describe(error)}",
            mend="move the file away: it is made again from history.jsonl",
        ) from error


def read_history(layout: Layout) -> list[Activation]:
    """Return every change, the oldest first. Needs no lock.

    :raises StoreError: a line is damaged, or one is missing in the middle; names it.
    """
    # active.json first: the history may only have grown since, so nothing can be missing but the
    # one entry that a writer is about to append.
    active = read_active(layout)
    entries = _read_history(layout)
    if (last := _last(active.values())) and last.sequence > len(entries):
        entries.append(last)
    for number, entry in enumerate(entries, start=1):
        if entry.sequence != number:
            raise StoreError(
                f"{layout.history}:{number}: change {number} is missing",
                mend="put the file back from a copy",
            )
    return entries


def _read_history(layout: Layout) -> list[Activation]:
    return [_read_line(layout, *numbered) for numbered in read_lines(layout.history)]


def _read_line(layout: Layout, number: int, line: bytes) -> Activation:
    where = f"{layout.history}:{number}"
    check_schema(line, where)
    try:
        return Activation.model_validate_json(line)
    except pydantic.ValidationError as error:
        raise StoreError(
            f"{where}: {describe(error)}", mend="put the file back from a copy"
        ) from error


def _last(entries: Iterable[Activation]) -> Activation | None:
    return max(entries, key=lambda entry: entry.sequence, default=None)


def change(
    layout: Layout,
    action: Literal["activate", "rollback", "deactivate"],
    slot: str,
    target: tuple[str, str] | None,
    *,
    forced: bool = False,
) -> Activation:
    """Let ``target`` (kind, id) serve ``slot``. Hold the lock.

    :raises StoreError: ``active.json`` or the history is damaged.
    """
    state = read_active(layout)
    last = _last(state.values())
    _complete_history(layout, last)
    kind, content_id = target or (None, None)
    entry = Activation(
        sequence=last.sequence + 1 if last else 1,
        action=action,
        slot=slot,
        id=content_id,
        kind=kind,
        previous=state[slot].id if slot in state else None,
        forced=forced,
        at=now(),
    )
    new = _State(slots={**state, slot: entry})
    layout.replace(layout.active, to_json(new.model_dump(mode="json", by_alias=True)))
    append_line(layout.history, entry.to_bytes())
    return entry


def _complete_history(layout: Layout, last: Activation | None) -> None:
    """Append the entry that a dead process made true and did not live to write down."""
    if last is None:
        return
    written = _last_line(layout)
    if written is None or written.sequence < last.sequence:
        append_line(layout.history, last.to_bytes())


def _last_line(layout: Layout) -> Activation | None:
    lines = list(read_lines(layout.history))
    return _read_line(layout, *lines[-1]) if lines else None


def rollback_target(layout: Layout, slot: str) -> tuple[str, str] | None:
    """Return what served ``slot`` before its last activation that is still in force.

    Rollbacks undo one activation each, the last one first, as ``undo`` does in an editor.

    :raises StoreError: nothing is left to undo.
    """
    trail: list[tuple[str, str] | None] = [None]
    for entry in read_history(layout):
        if entry.slot != slot:
            continue
        if entry.action == "rollback":
            trail.pop()
        else:
            trail.append((entry.kind, entry.id) if entry.kind and entry.id else None)
    if len(trail) < 2:
        raise StoreError(
            f"nothing to roll back: no activation of the {slot} is in force",
            mend="'ragd-tune adapters list' shows what can be activated",
        )
    return trail[-2]


def check_slot(slot: str) -> None:
    """Refuse what is no slot.

    :raises UsageError: naming the slots.
    """
    if slot not in SLOTS:
        raise UsageError(f"{slot!r} is no slot", mend=f"use one of {', '.join(SLOTS)}")


def is_proven(records: list[Record]) -> bool:
    """Say whether the last proof that was made in this store says that it passed.

    An imported proof is somebody's claim, about somebody's data.
    """
    own = _own_proofs(records)
    return bool(own) and own[-1].payload.get("passed") is True


def not_proven(records: list[Record], shown: str) -> NotProvenError:
    """Return the error that tells the last proof's numbers and what to do."""
    force = "or activate it with --force, on your own judgement"
    if own := _own_proofs(records):
        return NotProvenError(
            f"{shown} is not proven better: {_told(own[-1].payload)}",
            mend=f"train on more data and evaluate again, {force}",
        )
    only = ", only an imported one" if any(one.type == PROOF for one in records) else ""
    return NotProvenError(
        f"{shown} has no proof made here{only}",
        mend=f"'ragd-tune evaluate {shown} --data DATA' compares it with the incumbent, {force}",
    )


def _own_proofs(records: list[Record]) -> list[Record]:
    return [one for one in records if one.type == PROOF and not one.imported]


def _told(payload: dict[str, object]) -> str:
    """Return the proof's own words, which hold its numbers."""
    report = payload.get("report", payload)
    told = report.get("sentence") or report.get("reason") if isinstance(report, dict) else None
    return str(told or "its last proof did not pass")
