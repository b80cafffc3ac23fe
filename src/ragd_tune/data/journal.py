"""A journal of finished pieces of work: each line is on disk before the next piece is begun.

A killed process loses what was in flight and nothing else. A last line that was torn by the kill
is cut off when the journal is opened again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ragd_tune.errors import DataError

Entry = Mapping[str, object]


class Journal:
    """Rows with a key each, appended and synced one by one; the same key is never written twice.

    :param path: the file; it is made, or read again if it is there.
    :param header: what the work depends on; a journal of other work is refused.
    :raises DataError: the file is a journal of other work, or is none.
    """

    def __init__(self, path: Path, header: Entry) -> None:
        self._path = path
        self._rows: dict[str, Entry] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("a+b")
        try:
            self._open(header)
        except BaseException:
            self._file.close()
            raise

    def _open(self, header: Entry) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        lines = content[:whole].splitlines()
        if not lines:
            self._append(dict(header))
            return
        try:
            rows = [json.loads(line) for line in lines]
        except ValueError as error:
            raise DataError(f"{self._path} is damaged: {error}", mend="remove it") from error
        if rows[0] != json.loads(json.dumps(header)):
            raise DataError(f"{self._path} is a journal of other work", mend="remove it")
        self._rows = {str(row["key"]): row for row in rows[1:]}

    def _append(self, row: Entry) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> Entry:
        """Return the row of ``key``, which must be there."""
        return self._rows[key]

    def rows(self) -> Iterator[Entry]:
        """Yield the rows in the order in which they were written."""
        yield from self._rows.values()

    def add(self, key: str, row: Entry) -> None:
        """Write ``row`` under ``key``; it is on disk when this returns."""
        if key in self._rows:
            raise ValueError(f"{key!r} is in the journal already")
        made = {**row, "key": key}
        self._append(made)
        self._rows[key] = made

    def extend(self, rows: Iterable[tuple[str, Entry]]) -> None:
        """Write many rows; all are on disk when this returns."""
        for key, row in rows:
            if key in self._rows:
                raise ValueError(f"{key!r} is in the journal already")
            made = {**row, "key": key}
            self._file.write(json.dumps(made, ensure_ascii=False).encode() + b"\n")
            self._rows[key] = made
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
