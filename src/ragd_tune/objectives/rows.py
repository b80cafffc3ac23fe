"""Row schemas, and rows as files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragd_tune.errors import DataError
from ragd_tune.options import Option
from ragd_tune.plan import canonical

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a row; ``type`` is ``text``, ``texts``, ``number``, ``numbers`` or ``keys``."""

    name: str
    type: str
    required: bool = True
    help: str = ""


_CHECKS = {
    "text": lambda v: isinstance(v, str),
    "texts": lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v),
    "keys": lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "numbers": lambda v: (
        isinstance(v, list)
        and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in v)
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a backend minimises, and the rows that it is minimised over.

    ``contrasts`` says whether the rows of a batch are compared with each other: then a batch needs
    two rows at least, and those that would be false negatives of each other are kept apart.
    """

    id: str
    title: str
    fields: tuple[Field, ...]
    options: tuple[Option, ...] = ()
    contrasts: bool = True

    def check(self, row: Row, *, where: str) -> None:
        """Check one row against the schema.

        :raises DataError: names ``where`` and the field.
        """
        for spec in self.fields:
            if spec.name not in row:
                if spec.required:
                    raise DataError(f"{where}: a {self.id} row needs {spec.name!r}")
            elif not _CHECKS[spec.type](row[spec.name]):
                raise DataError(f"{where}: {spec.name!r} of a {self.id} row must be {spec.type}")
        extra = sorted(set(row) - {spec.name for spec in self.fields})
        if extra:
            raise DataError(f"{where}: a {self.id} row has no field {extra[0]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one objective, for training and for the held-out loss."""

    objective: str
    train: Sequence[Row]
    dev: Sequence[Row] = field(default=())

    @property
    def fingerprint(self) -> str:
        """Sha256 (hex) of all rows in order."""
        digest = hashlib.sha256(self.objective.encode())
        for part in (self.train, self.dev):
            digest.update(b"\x00")
            for row in part:
                digest.update(canonical(row) + b"\n")
        return digest.hexdigest()

    def write(self, folder: Path) -> None:
        """Write ``train.jsonl`` and ``dev.jsonl`` for a worker process to read."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in (("train", self.train), ("dev", self.dev)):
            with (folder / f"{name}.jsonl").open("wb") as file:
                file.writelines(canonical(row) + b"\n" for row in part)
                file.flush()
                os.fsync(file.fileno())

    @classmethod
    def read(cls, folder: Path, objective: Objective) -> Rows:
        """Read what :meth:`write` wrote, each row checked.

        :raises DataError: with file and line of a bad row.
        """
        parts = {name: list(_lines(folder / f"{name}.jsonl", objective)) for name in PARTS}
        return cls(objective=objective.id, train=parts["train"], dev=parts["dev"])


PARTS = ("train", "dev")


def _lines(path: Path, objective: Objective) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            row = json.loads(line)
            objective.check(row, where=f"{path}:{number}")
            yield row
