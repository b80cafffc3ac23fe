"""Objectives: the waist between kinds and backends. Ids, row schemas, and batches.

A kind turns a data set into rows of one objective; a backend minimises that objective over the
rows. Which rows share a batch is decided here, so that two backends can be compared step by step.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragd_tune.errors import DataError
from ragd_tune.options import CONTRASTIVE, Option
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
    """What a backend minimises, and the rows that it is minimised over."""

    id: str
    title: str
    fields: tuple[Field, ...]
    options: tuple[Option, ...] = ()

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


def batches(
    rows: Sequence[Row], *, batch_size: int, seed: int, epoch: int, drop_last: bool = False
) -> list[list[int]]:
    """Return one epoch's batches of row indices: the same on every machine and backend.

    The order is a shuffle by ``(seed, epoch)``. Rows that would be **false negatives** of each
    other are kept apart: two rows conflict when a passage of one (``positive_key``,
    ``negative_keys``) is relevant to the other's query (``relevant_keys``). A row that conflicts
    with the open batch waits for the next one; what is left at the end fills batches of its own,
    so no row is lost. A last batch of a single row has no in-batch negative and is joined to the
    batch before it where no rule forbids that, else kept if it has negatives of its own, else
    dropped. ``drop_last`` drops any last batch that is not full.
    """
    order = list(range(len(rows)))
    # Python's Random gives the same shuffle on every platform and version; NumPy's need not.
    random.Random(f"{seed}/{epoch}").shuffle(order)
    made: list[list[int]] = []
    waiting: list[int] = []
    queue = iter(order)
    while True:
        batch, waiting, more = _fill(rows, batch_size, waiting, queue)
        if batch:
            made.append(batch)
        if not more and not waiting:
            break
    return _tidy(rows, made, batch_size, drop_last=drop_last)


def _fill(
    rows: Sequence[Row], size: int, waiting: list[int], queue: Iterator[int]
) -> tuple[list[int], list[int], bool]:
    """Fill one batch from those that wait, then from the queue."""
    batch: list[int] = []
    held: list[int] = []
    inside = _Inside()
    for index in waiting:
        (batch if len(batch) < size and inside.take(rows[index]) else held).append(index)
    while len(batch) < size:
        index = next(queue, -1)
        if index < 0:
            return batch, held, False
        (batch if inside.take(rows[index]) else held).append(index)
    return batch, held, True


class _Inside:
    """The keys of an open batch."""

    def __init__(self) -> None:
        self.passages: set[str] = set()
        self.relevant: set[str] = set()

    def take(self, row: Row) -> bool:
        """Add ``row`` unless it conflicts; say whether it went in."""
        passages, relevant = passage_keys(row), _keys(row, "relevant_keys")
        if passages & self.relevant or relevant & self.passages:
            return False
        self.passages |= passages
        self.relevant |= relevant
        return True


def _keys(row: Row, name: str) -> set[str]:
    value = row.get(name, ())
    assert isinstance(value, (list, tuple))
    return set(value)


def passage_keys(row: Row) -> set[str]:
    """Return the keys of the passages that ``row`` brings into a batch."""
    positive = row.get("positive_key")
    own = {positive} if isinstance(positive, str) else set()
    return own | _keys(row, "negative_keys")


def _tidy(
    rows: Sequence[Row], made: list[list[int]], size: int, *, drop_last: bool
) -> list[list[int]]:
    if drop_last:
        return [batch for batch in made if len(batch) == size]
    kept: list[list[int]] = []
    for batch in made:
        if len(batch) > 1 or rows[batch[0]].get("negatives"):
            kept.append(batch)
            continue
        home = next((b for b in reversed(kept) if _fits(rows, b, batch[0])), None)
        if home is not None:
            home.append(batch[0])
    return kept


def _fits(rows: Sequence[Row], batch: Iterable[int], index: int) -> bool:
    inside = _Inside()
    return all(inside.take(rows[i]) for i in [*batch, index])


CONTRASTIVE_OBJECTIVE = Objective(
    id="contrastive",
    title="in-batch softmax over positives and negatives",
    options=CONTRASTIVE,
    fields=(
        Field(name="query", type="text"),
        Field(name="positive", type="text"),
        Field(name="negatives", type="texts", required=False),
        Field(name="positive_key", type="text", help="identity of the positive passage"),
        Field(name="negative_keys", type="keys", required=False),
        Field(name="relevant_keys", type="keys", help="all passages relevant to the query"),
        Field(name="teacher_scores", type="numbers", required=False),
    ),
)

CORE_OBJECTIVES = (CONTRASTIVE_OBJECTIVE,)
"""Objectives that the core itself registers; plugins add theirs by ``ragd_tune_objectives``."""
