"""The hooks of the backend ``mlx``. MLX is imported inside the calls, not with this module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragd_tune import hookimpl
from ragd_tune_mlx.detect import BACKEND

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.backends import (
        Backend,
        Dense,
        Limits,
        LoadRequest,
        Model,
        MultiVector,
        RerankRequest,
    )
    from ragd_tune.objectives import Rows
    from ragd_tune.plan import Emit, Estimate, Role, TrainPlan, TrainResult
    from ragd_tune_mlx.late.serve import MultiEncoder
    from ragd_tune_mlx.lm.generator import Generator
    from ragd_tune_mlx.relevance.serve import PairScorer
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
    if request.objective == "relevance":
        from ragd_tune_mlx.relevance.serve import load as load_pairs

        return load_pairs(request)
    if request.objective == "late_interaction":
        from ragd_tune_mlx.late.serve import load as load_late

        return load_late(request)
    from ragd_tune_mlx.serve import load

    return load(request)


@hookimpl
def ragd_tune_embed(model: Model, texts: Sequence[str], role: Role) -> Dense | MultiVector:
    """Return float32 vectors of shape (n, dimension), or those of every token."""
    return cast("Encoder | MultiEncoder", model).embed(texts, role)


@hookimpl
def ragd_tune_generate(model: Model, prompts: Sequence[str], limits: Limits) -> list[str]:
    """Return one completion a prompt."""
    return cast("Generator", model).generate(prompts, limits)


@hookimpl
def ragd_tune_rerank(model: Model, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
    """Return one float32 array of scores between 0 and 1 a request."""
    return cast("PairScorer", model).rerank(requests)


@hookimpl
def ragd_tune_export(model: Model, format: str, out: Path) -> list[Path]:
    """Write the format ``folder``: one that the libraries load by its path."""
    from ragd_tune_mlx.export import export

    loaded = cast("Encoder | Generator | MultiEncoder | PairScorer", model)
    return export(loaded, format, out)
