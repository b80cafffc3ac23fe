"""Which space the vectors of an index lie in, kept beside them: ``ragd-tune-index.json``.

Vectors of two spaces never meet. ragd keeps no such note, so an index without one is ragd's own:
only the model of ragd's configuration may use it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import ConfigDict, Field, StringConstraints

from ragd_tune.errors import StoreError
from ragd_tune.ragd.chroma import DATABASE, DOCUMENTS
from ragd_tune.store import files
from ragd_tune.store.journal import to_json
from ragd_tune.store.manifest import Fingerprint, check_schema, describe

FILE = "ragd-tune-index.json"
_SHORT = 12


class Marker(pydantic.BaseModel):
    """What an index that was made here holds.

    ``model`` is the adapter's content id, or a bare base's fingerprint; ``source`` the index that
    the chunks were taken from; ``state`` is ``building`` until every vector was checked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    space: Fingerprint
    model: Fingerprint
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    dimension: Annotated[int, Field(ge=1)]
    source: str = ""
    state: Literal["building", "ready"]

    def write(self, folder: Path) -> None:
        """Put this beside the index in ``folder``, in one step."""
        raw = to_json(self.model_dump(mode="json", by_alias=True))
        files.write_atomic(folder / FILE, raw + b"\n", folder)


def read_marker(folder: Path) -> Marker | None:
    """Return what the index in ``folder`` says of itself; None if it says nothing.

    :raises StoreError: the note is damaged, or newer than this version.
    """
    raw = files.read_bytes(folder / FILE)
    if raw is None:
        return None
    check_schema(raw, str(folder / FILE))
    try:
        return Marker.model_validate_json(raw)
    except pydantic.ValidationError as error:
        raise StoreError(
            f"{folder / FILE}: {describe(error)}",
            mend="make the index again: ragd-tune host reindex --fresh",
        ) from error


def must_hold(folder: Path, space: str, shown: str) -> None:
    """Refuse the index in ``folder`` to a model whose documents lie in ``space``.

    :raises StoreError: the index holds vectors of another space, or is not finished.
    """
    marker = read_marker(folder)
    if marker is None:
        return
    if marker.state != "ready":
        raise StoreError(
            f"the index in {folder} is not finished",
            mend="it is in the making (then try again in a moment), or that was interrupted: "
            "finish it by `ragd-tune host reindex`",
        )
    if marker.space != space:
        raise StoreError(
            f"the index in {folder} holds vectors of {marker.name} (space "
            f"{marker.space[:_SHORT]}), and {shown} embeds into {space[:_SHORT]}",
            mend="`ragd-tune host status` shows both; go back by `ragd-tune adapters rollback`, "
            "or embed again by `ragd-tune host reindex`",
        )


def is_empty(folder: Path) -> bool:
    """Say whether the index in ``folder`` holds no vectors yet. Takes milliseconds."""
    database = folder / DATABASE
    if not database.is_file():
        return True
    query = (
        "SELECT 1 FROM embeddings JOIN segments ON embeddings.segment_id = segments.id JOIN"
        " collections ON segments.collection = collections.id WHERE collections.name = ? LIMIT 1"
    )
    address = f"{database.resolve().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as source:
            return source.execute(query, (DOCUMENTS,)).fetchone() is None
    except sqlite3.Error:
        return False  # what cannot be looked into is not taken for empty
