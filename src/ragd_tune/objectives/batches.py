"""Which rows share a batch: decided once, so that two backends can be compared step by step."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence

from ragd_tune.objectives.rows import Row


def batches(
    rows: Sequence[Row], *, batch_size: int, seed: int, epoch: int, contrasts: bool = True
) -> list[list[int]]:
    """Return one epoch's batches of row indices: the same on every machine and backend.

    The order is a shuffle by ``(seed, epoch)``. Rows that would be **false negatives** of each
    other are kept apart: two rows conflict when a passage of one (``positive_key``,
    ``negative_keys``) is relevant to the other's query (``relevant_keys``). Rows whose passages
    come often are dealt out first, one batch after the other; the rest fills the batches up evenly.
    A passage with more rows than batches makes up to a quarter more batches, and smaller ones;
    its rows beyond that are left out of this epoch, which are others in the next.

    A batch of a single row has no in-batch negative. It is joined to another where no rule forbids
    that, else kept if it has negatives of its own, else dropped. No other row is lost.
    ``contrasts`` is the objective's: without it no row is another's negative, and none of this
    matters.
    """
    order = list(range(len(rows)))
    # Python's Random gives the same shuffle on every platform and version; NumPy's need not.
    draw = random.Random(f"{seed}/{epoch}")
    draw.shuffle(order)
    if not contrasts:
        return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    made = _Dealt(rows, order, batch_size).batches()
    draw.shuffle(made)  # else the passages that come often would all be early in an epoch
    return _tidy(rows, made)


SPARE = 1.25
"""How many batches there may be at most, by how many full ones the rows would make.

One passage may have hundreds of queries. A batch for each of them would leave all batches small,
and small batches have few negatives: with 113 rows about one passage of 1,706 rows in all, that
makes 113 batches of 15 rows, where 54 hold 32.
"""


class _Dealt:
    """Rows dealt out to batches."""

    def __init__(self, rows: Sequence[Row], order: Sequence[int], size: int) -> None:
        self.rows = rows
        self.size = size
        count: Counter[str] = Counter()
        for row in rows:
            count.update(_all_keys(row))
        often = {i: max((count[key] for key in _all_keys(rows[i])), default=1) for i in order}
        self.crowded = sorted((i for i in order if often[i] > 1), key=lambda i: -often[i])
        self.free = [i for i in order if often[i] == 1]
        needed = math.ceil(len(order) / size)
        self.most = math.ceil(SPARE * needed)
        self.open = [_Batch() for _ in range(needed)]

    def batches(self) -> list[list[int]]:
        """Return the batches, none of them empty."""
        at = 0
        for index in self.crowded:
            at = self._place(index, at) + 1
        heap = [(len(batch.indices), number) for number, batch in enumerate(self.open)]
        heapq.heapify(heap)
        for index in self.free:
            held, number = heapq.heappop(heap)
            self.open[number].indices.append(index)
            heapq.heappush(heap, (held + 1, number))
        return [batch.indices for batch in self.open if batch.indices]

    def _place(self, index: int, start: int) -> int:
        """Put a row into the first batch from ``start`` on that takes it; return its number.

        Where none does and no more may be opened, the row is left out.
        """
        count = len(self.open)
        for step in range(count):
            number = (start + step) % count
            batch = self.open[number]
            if len(batch.indices) < self.size and batch.take(index, self.rows[index]):
                return number
        if count < self.most:
            self.open.append(_Batch())
            self.open[-1].take(index, self.rows[index])
        return count


class _Batch:
    """An open batch: its rows, and the keys of those that may conflict."""

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.passages: set[str] = set()
        self.relevant: set[str] = set()

    def take(self, index: int, row: Row) -> bool:
        """Add ``row`` unless it conflicts; say whether it went in."""
        passages, relevant = passage_keys(row), _keys(row, "relevant_keys")
        if passages & self.relevant or relevant & self.passages:
            return False
        self.indices.append(index)
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


def _all_keys(row: Row) -> set[str]:
    return passage_keys(row) | _keys(row, "relevant_keys")


def _tidy(rows: Sequence[Row], made: list[list[int]]) -> list[list[int]]:
    kept = [batch for batch in made if len(batch) > 1 or rows[batch[0]].get("negatives")]
    for batch in made:
        if len(batch) > 1 or rows[batch[0]].get("negatives"):
            continue
        home = next((b for b in reversed(kept) if _fits(rows, b, batch[0])), None)
        if home is not None:
            home.append(batch[0])
    return kept


def _fits(rows: Sequence[Row], batch: Iterable[int], index: int) -> bool:
    inside = _Batch()
    return all(inside.take(i, rows[i]) for i in [*batch, index])
