"""The hooks of the backend ``mlx``. MLX is imported inside the calls, not with this module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragd_tune import hookimpl
from ragd_tune_mlx.detect import BACKEND

if TYPE_CHECKING:
    from ragd_tune.backends import Backend, Dense, Limits, LoadRequest, Model
    from ragd_tune.objectives import Rows
    from ragd_tune.plan import Emit, Estimate, Role, TrainPlan, TrainResult
    from ragd_tune_mlx.lm.generator import Generator
    from ragd_tune_mlx.serve import Encoder


@hookimpl
def ragd_tune_backends() -> Iterable[Backend]:
    """Return the one backend of this package."""
    return [BACKEND]


@hookimpl
def ragd_tune_estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Time a few real steps on a copy of the model that is thrown away."""
    from ragd_tune_mlx.train import estimate

    return estimate(plan, rows)


@hookimpl
def ragd_tune_train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Train by MLX; see :mod:`ragd_tune_mlx.train`."""
    from ragd_tune_mlx.train import train

    return train(plan, rows, emit)


@hookimpl
def ragd_tune_load_adapter(request: LoadRequest) -> Model:
    """Load a base, a tuned folder, or a base with an adapter on it."""
    if request.objective == "causal_lm":
        from ragd_tune_mlx.lm.generator import load as load_generator

        return load_generator(request)
    from ragd_tune_mlx.serve import load

    return load(request)


@hookimpl
def ragd_tune_embed(model: Model, texts: Sequence[str], role: Role) -> Dense:
    """Return float32 vectors of shape (n, dimension)."""
    return cast("Encoder", model).embed(texts, role)


@hookimpl
def ragd_tune_generate(model: Model, prompts: Sequence[str], limits: Limits) -> list[str]:
    """Return one completion a prompt."""
    return cast("Generator", model).generate(prompts, limits)


@hookimpl
def ragd_tune_export(model: Model, format: str, out: Path) -> list[Path]:
    """Write the format ``folder``: one that the libraries load by its path."""
    from ragd_tune_mlx.export import export

    return export(cast("Encoder | Generator", model), format, out)
