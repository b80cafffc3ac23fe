"""Errors that every training can end with, in the same words whatever framework ran it."""

from __future__ import annotations

from ragd_tune.errors import DoesNotFitError, TrainingDivergedError
from ragd_tune.plan import TrainPlan


def diverged(
    step: int, loss: float, learning_rate: float, *, kept: int | None = None
) -> TrainingDivergedError:
    """Return the error for a loss that is NaN or infinite.

    :param kept: the step of the last whole checkpoint: it is from before, and sound.
    """
    saved = f"; the last good checkpoint is that of step {kept}" if kept else ""
    return TrainingDivergedError(
        f"the loss became {loss} at step {step}; the likely cause is the learning rate of "
        f"{learning_rate:g}{saved}",
        mend=f"try --learning-rate {learning_rate / 10:g}, or --precision fp32",
    )


def too_large(plan: TrainPlan) -> DoesNotFitError:
    """Return the error for memory that ran out; it says what would fit."""
    size, length = plan.integer("batch_size"), plan.integer("max_length")
    smaller = f"--batch-size {max(2, size // 2)}, or --max-length {max(8, length // 2)}"
    return DoesNotFitError(
        f"memory ran out on {plan.device} with batches of {size} rows of up to {length} tokens",
        mend=f"{smaller} takes about half of the memory for activations"
        + ("; --tuning lora needs less for the weights" if plan.tuning == "full" else ""),
    )


def is_memory(message: str) -> bool:
    """Say whether a framework's error is about memory: none has a type for it on every device."""
    said = message.lower()
    return any(
        word in said
        for word in (
            "not enough memory",
            "can't allocate memory",
            "out of memory",
            "unable to allocate",
            "attempting to allocate",
        )
    )
