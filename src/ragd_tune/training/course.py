"""Which rows make which step, how many steps there are, and how fast they learn: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ragd_tune.errors import DataError
from ragd_tune.objectives import Row, batches, contrasting
from ragd_tune.plan import TrainPlan
from ragd_tune.training.bounds import has_budget, is_timed, seconds_left

SPARE = 0.1
"""Share of a time-bounded run that is kept free, so that its last step is inside the bound."""


class Course:
    """All steps of a run in order, epoch after epoch. Steps count from 0 here."""

    def __init__(
        self, rows: Sequence[Row], *, batch_size: int, seed: int, contrasts: bool = True
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.contrasts = contrasts
        self._epoch = lru_cache(maxsize=2)(self._make)
        if not self.epoch(0):
            needs = "rows are compared with each other: it takes 2 about different passages"
            raise DataError(
                f"{len(rows)} training rows make no batch" + (f": {needs}" if contrasts else ""),
                mend="add pairs to the training split",
            )

    @classmethod
    def of(cls, plan: TrainPlan, rows: Sequence[Row]) -> Course:
        """Return the course of ``plan``."""
        return cls(
            rows,
            batch_size=plan.integer("batch_size"),
            seed=plan.seed,
            contrasts=contrasting(plan.objective),
        )

    def _make(self, number: int) -> list[list[int]]:
        return batches(
            self.rows,
            batch_size=self.batch_size,
            seed=self.seed,
            epoch=number,
            contrasts=self.contrasts,
        )

    def epoch(self, number: int) -> list[list[int]]:
        """Return the batches of one epoch."""
        return self._epoch(number)

    def steps(self, epochs: float) -> int:
        """Return how many steps ``epochs`` passes take; part of a pass is rounded, at least 1."""
        whole = math.floor(epochs)
        count = sum(len(self.epoch(number)) for number in range(whole))
        part = epochs - whole
        if part > 0:
            count += round(part * len(self.epoch(whole)))
        return max(1, count)

    def between(self, start: int, stop: int) -> Iterator[list[int]]:
        """Yield the batches of the steps ``start`` to ``stop`` (which is left out)."""
        number = first = 0
        while first < stop:
            made = self.epoch(number)
            yield from made[max(0, start - first) : max(0, stop - first)]
            first += len(made)
            number += 1


def held_out(plan: TrainPlan, rows: Sequence[Row]) -> list[list[int]]:
    """Return the batches of rows by which a run of ``plan`` is watched; it trains without, too.

    There are none for one row, nor for rows that are all about one passage where rows are compared
    with each other.
    """
    if len(rows) < 2:
        return []
    return batches(
        rows,
        batch_size=plan.integer("batch_size"),
        seed=plan.seed,
        epoch=0,
        contrasts=contrasting(plan.objective),
    )


def total_steps(
    plan: TrainPlan, course: Course, seconds_per_step: float | None = None, ahead: float = 0.0
) -> int:
    """Return how many steps ``plan`` takes.

    ``max_steps`` decides before ``minutes``, and that before ``epochs``; a ``budget`` allows so
    many ``epochs`` at the most. Time needs the measured ``seconds_per_step``, and ``ahead``: the
    seconds that pass before the first one.
    """
    if plan.options["max_steps"] is not None:
        return plan.integer("max_steps")
    if not is_timed(plan):
        return course.steps(plan.number("epochs"))
    assert seconds_per_step is not None
    seconds = seconds_left(plan) * (1 - SPARE) - ahead
    steps = max(1, int(seconds / max(seconds_per_step, 1e-6)))
    return min(steps, course.steps(plan.number("epochs"))) if has_budget(plan) else steps


def training_length(plan: TrainPlan) -> int:
    """Return how many tokens of a text training reads: fewer than the adapter does, if wanted."""
    wanted, whole = plan.options.get("training_length"), plan.integer("max_length")
    return min(wanted, whole) if isinstance(wanted, int) else whole


def rate(step: int, *, steps: int, warmup: float, schedule: str) -> float:
    """Return the share of the peak learning rate at ``step`` (from 0) of ``steps``.

    Rises linearly over the first ``warmup`` share, then falls to 0 linearly, or along half a
    cosine, or stays.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    done = (step - rising) / max(1, steps - rising)
    if schedule == "linear":
        return max(0.0, 1.0 - done)
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    return 1.0


def cost(rows: Sequence[Row], batch: Sequence[int], *, max_length: int) -> int:
    """Return about how much a batch costs: characters after padding, each column on its own.

    A query that is read together with its passages counts once for each of them.
    """
    limit = 5 * max_length  # a token has about five characters
    columns: dict[str, list[int]] = {}
    for index in batch:
        for name, length in _lengths(rows[index]):
            columns.setdefault(name, []).append(length)
    return sum(len(column) * min(limit, max(column)) for column in columns.values())


def _lengths(row: Row) -> Iterator[tuple[str, int]]:
    """Yield the column and the length of each text that a step reads of ``row``."""
    passages, texts = row.get("passages"), {n: v for n, v in row.items() if isinstance(v, str)}
    if isinstance(passages, list):
        yield from (("pair", len(texts["query"]) + len(passage)) for passage in passages)
    elif "prompt" in texts:
        yield "whole", sum(map(len, texts.values()))  # system, prompt and completion
    else:
        yield from ((n, len(v)) for n, v in texts.items() if not n.endswith("_key"))


def dev_points(steps: int, dev_batches: int, looks: int = 4) -> tuple[tuple[int, ...], int]:
    """Return after which steps to look at the held-out loss, and on how many batches.

    A forward pass costs about a third of a step: four looks at a 25th of the steps each are
    about 5% of the run. A run of less than 20 steps is looked at in the end alone.
    """
    if dev_batches == 0:
        return (), 0
    size = min(dev_batches, max(1, int(0.15 * steps / looks)))
    points = {steps} if steps < 20 else {round(steps * n / looks) for n in range(1, looks + 1)}
    return tuple(sorted(points)), size
