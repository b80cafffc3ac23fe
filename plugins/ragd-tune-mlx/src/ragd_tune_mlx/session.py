"""Contexts around MLX: where it computes, what it says, and when memory runs out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import mlx.core as mx

from ragd_tune.errors import UsageError
from ragd_tune.plan import Device, TrainPlan
from ragd_tune.training.faults import is_memory, too_large


@contextlib.contextmanager
def on(device: Device) -> Iterator[None]:
    """Compute on ``device``: ``mps`` and ``cuda`` are what MLX calls the GPU.

    :raises UsageError: this build of MLX has no GPU.
    """
    if device == "cpu":
        with mx.stream(mx.cpu):
            yield
        return
    if not mx.is_available(mx.gpu):
        raise UsageError(f"MLX finds no GPU for the device {device}", mend="--device cpu")
    with mx.stream(mx.gpu):
        yield


@contextlib.contextmanager
def fits(plan: TrainPlan) -> Iterator[None]:
    """Turn every way in which memory runs out into one error that says what would fit."""
    try:
        yield
    except MemoryError as error:
        raise too_large(plan) from error
    except RuntimeError as error:
        if not is_memory(str(error)):
            raise
        raise too_large(plan) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars and notes of transformers; errors still come through."""
    from transformers.utils import logging as hf

    bars, level = hf.is_progress_bar_enabled(), hf.get_verbosity()
    hf.disable_progress_bar()
    hf.set_verbosity_error()
    try:
        yield
    finally:
        hf.set_verbosity(level)
        if bars:
            hf.enable_progress_bar()


@contextlib.contextmanager
def uncompiled(device: Device) -> Iterator[None]:
    """Compute mlx-lm's compiled functions as they are written, on a processor.

    There MLX would call a C++ compiler, and write below ``/tmp``.
    """
    if device != "cpu" or "MLX_DISABLE_COMPILE" in os.environ:
        yield
        return
    mx.disable_compile()
    try:
        yield
    finally:
        mx.enable_compile()
