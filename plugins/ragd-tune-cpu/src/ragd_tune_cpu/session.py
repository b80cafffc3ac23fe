"""Contexts around the frameworks: quiet, repeatable, and without traces in the process."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ragd_tune.backends import Handle, Net
from ragd_tune.plan import TrainPlan
from ragd_tune.training.faults import is_memory, too_large

# PEFT imports bitsandbytes wherever it is installed, and that warns of a package which would make
# four bits faster on some CPUs: it reads as a failure, to users who have no four bits.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


class TorchHandle(Handle[Net]):
    """A loaded model of PyTorch."""

    def _freed(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and notes of the Hugging Face libraries; errors still come through."""
    from transformers.utils import logging as hf

    bars = hf.is_progress_bar_enabled()
    level = hf.get_verbosity()
    own = logging.getLogger("sentence_transformers")
    own_level = own.level
    hf.disable_progress_bar()
    hf.set_verbosity_error()
    own.setLevel(logging.ERROR)
    try:
        with hushed():
            yield
    finally:
        hf.set_verbosity(level)
        own.setLevel(own_level)
        if bars:
            hf.enable_progress_bar()


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Silence what one library says to another about its future, which is not for users.

    Unlike :func:`quiet` it takes microseconds: setting a logger's level, as that does, clears the
    caches of every logger in the process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextlib.contextmanager
def untouched_random_state(device: str) -> Iterator[None]:
    """Give every random generator its state back at the end."""
    python, numpy, mine = random.getstate(), np.random.get_state(), random_state(device)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        set_random_state(mine, device)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch, on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def random_state(device: str) -> dict[str, torch.Tensor]:
    """Return PyTorch's generators: the only ones that a training step draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device == "cuda":
        states["cuda"] = torch.cuda.get_rng_state()
    elif device == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_random_state(states: dict[str, torch.Tensor], device: str) -> None:
    """Put back what :func:`random_state` returned."""
    torch.set_rng_state(states["cpu"])
    if device == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
    elif device == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Have PyTorch choose deterministic algorithms; where it has none it warns and goes on."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill: Any = torch.utils.deterministic
    filling = fill.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only so
    torch.use_deterministic_algorithms(True, warn_only=True)
    fill.fill_uninitialized_memory = False  # it costs, and nothing reads it
    try:
        yield
    finally:
        fill.fill_uninitialized_memory = filling
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


@contextlib.contextmanager
def fits(plan: TrainPlan) -> Iterator[None]:
    """Turn every way in which memory runs out into one error that says what would fit."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise too_large(plan) from error
    except RuntimeError as error:
        if not is_memory(str(error)):
            raise
        raise too_large(plan) from error
