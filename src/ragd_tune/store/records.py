"""Append-only facts beside an adapter: proofs, calibrations, provenance; and looks at test sets.

A record is one write-once file ``records/<id>/0001-proof.json``. What came with an archive is
marked ``imported``: it tells what somebody claims, and opens no gate here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import ConfigDict, Field, StringConstraints

from ragd_tune.errors import StoreError
from ragd_tune.store import files
from ragd_tune.store.journal import append_line, read_lines, to_json
from ragd_tune.store.layout import Layout
from ragd_tune.store.manifest import Slug, check_schema, describe

PROOF = "proof"


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Line(pydantic.BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    at: str

    def to_bytes(self) -> bytes:
        """Return canonical JSON."""
        return to_json(self.model_dump(mode="json", by_alias=True))


class Record(_Line):
    """One fact about an adapter. ``number`` counts from 1; ``at`` is UTC, ISO 8601."""

    number: Annotated[int, Field(ge=1)]
    type: Slug
    adapter: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    imported: bool = False
    payload: dict[str, Any]

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.number:04d}-{self.type}.json"


class Look(_Line):
    """One look at a test set: a proof of ``adapter`` was run on ``test``."""

    test: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    adapter: str


def read_record(raw: bytes, where: str) -> Record:
    """Read one record; ``where`` is what messages call it.

    :raises StoreError: it is damaged, or newer than this version.
    """
    check_schema(raw, where)
    try:
        return Record.model_validate_json(raw)
    except pydantic.ValidationError as error:
        raise StoreError(
            f"{where}: {describe(error)}", mend="the record is damaged: remove the file"
        ) from error


def read_records(layout: Layout, content_id: str, type: str | None = None) -> list[Record]:  # noqa: A002
    """Return the records of an adapter, the oldest first; only those of ``type`` if it is given.

    :raises StoreError: a record is damaged; names its file.
    """
    folder = layout.records(content_id)
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    found = [_read(path) for path in paths]
    return sorted(
        (one for one in found if type in (None, one.type)), key=lambda record: record.number
    )


def _read(path: Path) -> Record:
    return read_record(files.read_bytes(path) or b"", f"{path.parent.name[:12]}/{path.name}")


def add_record(
    layout: Layout,
    content_id: str,
    type: str,  # noqa: A002 - the word that users see
    payload: Mapping[str, object],
    *,
    at: str | None = None,
    imported: bool = False,
) -> Record:
    """Write the next record. Hold the lock.

    :raises StoreError: ``payload`` is not plain JSON, or ``type`` is no name.
    """
    existing = read_records(layout, content_id)
    raw = to_json(
        {
            "schema": 1,
            "number": existing[-1].number + 1 if existing else 1,
            "type": type,
            "adapter": content_id,
            "at": at or now(),
            "imported": imported,
            "payload": dict(payload),
        }
    )
    record = read_record(raw, f"record {type!r}")
    layout.replace(layout.records(content_id) / record.file, raw)
    return record


def add_imported(layout: Layout, records: list[Record]) -> None:
    """Add records that came with an archive, leaving out those that are here. Hold the lock."""
    for record in records:
        known = read_records(layout, record.adapter, record.type)
        if not any((one.at, one.payload) == (record.at, record.payload) for one in known):
            add_record(
                layout, record.adapter, record.type, record.payload, at=record.at, imported=True
            )


def read_looks(layout: Layout, test: str | None = None) -> list[Look]:
    """Return the looks at a test set, the oldest first; at any one if ``test`` is ``None``.

    :raises StoreError: a line is damaged; names it.
    """
    found = []
    for number, line in read_lines(layout.looks):
        try:
            found.append(Look.model_validate_json(line))
        except pydantic.ValidationError as error:
            raise StoreError(
                f"{layout.looks}:{number}: {describe(error)}", mend="remove that line"
            ) from error
    return [look for look in found if test in (None, look.test)]


def add_look(layout: Layout, test: str, adapter: str) -> int:
    """Note one more look at a test set, and return how many there were, this one included.

    Hold the lock.
    """
    try:
        look = Look(at=now(), test=test, adapter=adapter)
    except pydantic.ValidationError as error:
        raise StoreError(f"look: {describe(error)}") from error
    append_line(layout.looks, look.to_bytes())
    return len(read_looks(layout, test))
