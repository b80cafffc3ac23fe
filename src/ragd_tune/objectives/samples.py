"""All rows of a ``causal_lm`` plan as tokens, and the parts that a batch is computed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragd_tune.errors import DataError
from ragd_tune.objectives.completion import Frame, Sample, TooLongError
from ragd_tune.objectives.rows import Row, Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Rows that fit, and the same as tokens; batches are made of :attr:`rows`.

    ``dropped`` counts rows that were left out, ``cut`` those whose prompt was shortened.
    """

    rows: Rows
    train: Sequence[Sample]
    dev: Sequence[Sample]
    dropped: int = 0
    cut: int = 0

    @property
    def note(self) -> str:
        """What a user has to know of it; empty if every row is there as it was."""
        told = []
        if self.dropped:
            told.append(f"{self.dropped} rows are longer than max_length and were left out")
        if self.cut:
            told.append(f"{self.cut} prompts were shortened to max_length, their kept parts not")
        return "; ".join(told)


def samples(rows: Rows, frame: Frame, *, max_length: int, drop: bool) -> Samples:
    """Return ``rows`` as tokens.

    :param drop: leave out rows that cannot be shortened to ``max_length``, and count them.
    :raises DataError: such rows where ``drop`` is off; says how many, and what length they need.
    """
    train, one = _part(rows.train, frame, max_length, "train")
    dev, two = _part(rows.dev, frame, max_length, "dev")
    refused = {**one, **two}
    if refused and not drop:
        longest = max(refused.values())
        raise DataError(
            f"{len(refused)} of {len(rows.train) + len(rows.dev)} rows cannot be shortened to "
            f"{max_length} tokens without cutting an answer or what it stands on "
            f"(the first is {next(iter(refused))})",
            mend=f"--max-length {longest} takes them all; --too-long drop leaves them out",
        )
    if refused and not train:
        raise DataError(
            f"no training row fits into {max_length} tokens", mend="use a larger --max-length"
        )
    fitting = Rows(
        objective=rows.objective,
        train=[row for row, _ in train],
        dev=[row for row, _ in dev],
    )
    made = [sample for _, sample in train], [sample for _, sample in dev]
    return Samples(
        rows=fitting,
        train=made[0],
        dev=made[1],
        dropped=len(refused),
        cut=sum(1 for part in made for sample in part if sample.cut),
    )


def _part(
    rows: Sequence[Row], frame: Frame, max_length: int, name: str
) -> tuple[list[tuple[Row, Sample]], dict[str, int]]:
    """Return what fits, and of each row that does not how many tokens it needs."""
    fitting: list[tuple[Row, Sample]] = []
    refused: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        where = f"row {number} of {name}"
        try:
            fitting.append((row, frame.sample(row, max_length=max_length)))
        except TooLongError as error:
            refused[where] = error.needed
        except DataError as error:
            raise DataError(f"{where}: {error.message}", mend=error.mend) from error
    return fitting, refused


def parts(samples: Sequence[Sample], batch: Sequence[int], *, size: int) -> list[list[int]]:
    """Return the rows of a batch in parts of at most ``size``, rows of like length together.

    What is learned from a batch is the mean over all its learnt tokens, whatever the parts: a
    backend sums the losses of the tokens of each part, divided by :func:`learnt` of the batch.
    """
    order = sorted(batch, key=lambda index: len(samples[index].ids), reverse=True)
    return [order[at : at + size] for at in range(0, len(order), size)]


def learnt(samples: Sequence[Sample], batch: Sequence[int]) -> int:
    """Return how many tokens of a batch the loss is on."""
    return sum(samples[index].learnt for index in batch)
