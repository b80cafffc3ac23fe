"""Which rows make which step, how many steps there are, and how fast they learn: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ragd_tune.errors import DataError
from ragd_tune.objectives import CORE_OBJECTIVES, Row, batches
from ragd_tune.plan import TrainPlan

SPARE = 0.1
"""Share of a time-bounded run that is kept free, so that its last step is inside the bound."""


_WITHOUT_NEGATIVES = {objective.id for objective in CORE_OBJECTIVES if not objective.contrasts}

_COSTLY = ("query", "positive", "text1", "text2", "prompt", "completion")
"""Fields whose texts a model reads."""


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
            why = ": in-batch negatives need at least 2 rows about different passages"
            raise DataError(
                f"{len(rows)} training rows make no batch{why if contrasts else ''}",
                mend="add pairs to the training split",
            )

    @classmethod
    def of(cls, plan: TrainPlan, rows: Sequence[Row]) -> Course:
        """Return the course of ``plan``."""
        return cls(
            rows,
            batch_size=plan.integer("batch_size"),
            seed=plan.seed,
            contrasts=plan.objective not in _WITHOUT_NEGATIVES,
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


def total_steps(plan: TrainPlan, course: Course, seconds_per_step: float | None = None) -> int:
    """Return how many steps ``plan`` takes.

    ``max_steps`` decides before ``minutes``, and that before ``epochs``. ``minutes`` needs the
    measured ``seconds_per_step``.
    """
    if plan.options["max_steps"] is not None:
        return plan.integer("max_steps")
    if plan.options["minutes"] is None:
        return course.steps(plan.number("epochs"))
    assert seconds_per_step is not None
    seconds = plan.number("minutes") * 60 * (1 - SPARE)
    return max(1, int(seconds / max(seconds_per_step, 1e-6)))


def is_timed(plan: TrainPlan) -> bool:
    """Say whether the number of steps depends on this machine's speed."""
    return plan.options["max_steps"] is None and plan.options["minutes"] is not None


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
    """Return about how much a batch costs: characters after padding, each column on its own."""
    limit = 5 * max_length  # a token has about five characters
    names = [name for name in _COSTLY if name in rows[batch[0]]]
    columns = [[str(rows[i][name]) for i in batch] for name in names]
    return sum(len(column) * min(limit, max(map(len, column))) for column in columns)


def dev_points(steps: int, dev_batches: int) -> tuple[tuple[int, ...], int]:
    """Return after which steps to look at the held-out loss, and on how many batches.

    A forward pass costs about a third of a step: four looks at a 25th of the steps each are
    about 5% of the run.
    """
    if dev_batches == 0:
        return (), 0
    size = min(dev_batches, max(1, int(0.0375 * steps)))
    points = {steps} if steps < 20 else {round(steps * share / 4) for share in (1, 2, 3, 4)}
    return tuple(sorted(points)), size
