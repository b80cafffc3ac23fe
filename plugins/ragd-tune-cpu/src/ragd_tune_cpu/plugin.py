"""The hooks of the backend ``cpu``. PyTorch is imported inside the calls, not with this module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragd_tune import hookimpl
from ragd_tune_cpu.detect import BACKEND
from ragd_tune_cpu.many import launch
from ragd_tune_cpu.memory import keep_what_is_freed
from ragd_tune_cpu.threads import let_waiting_threads_sleep

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
    from ragd_tune_cpu.encoder import Encoder
    from ragd_tune_cpu.late.serve import MultiEncoder
    from ragd_tune_cpu.lm.generator import Generator
    from ragd_tune_cpu.relevance.serve import PairScorer


@hookimpl
def ragd_tune_backends() -> Iterable[Backend]:
    """Return the one backend of this package."""
    return [BACKEND]


@hookimpl
def ragd_tune_estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Time a few real steps on a copy of the model that is thrown away."""
    let_waiting_threads_sleep()
    keep_what_is_freed()
    if launch.several(plan):
        return launch.estimate(plan, rows)
    if plan.objective == "causal_lm":
        from ragd_tune_cpu.lm import train as lm

        return lm.estimate(plan, rows)
    from ragd_tune_cpu.estimate import estimate

    return estimate(plan, rows)


@hookimpl
def ragd_tune_train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Train by sentence-transformers' trainer, and language models in a loop of their own."""
    let_waiting_threads_sleep()
    keep_what_is_freed()
    if launch.several(plan):
        return launch.train(plan, rows, emit)
    if plan.objective == "causal_lm":
        from ragd_tune_cpu.lm import train as lm

        return lm.train(plan, rows, emit)
    from ragd_tune_cpu.train import train

    return train(plan, rows, emit)


@hookimpl
def ragd_tune_load_adapter(request: LoadRequest) -> Model:
    """Load a base, a tuned folder, or a base with a LoRA adapter in it or a map behind it."""
    let_waiting_threads_sleep()
    if request.objective == "late_interaction":
        from ragd_tune_cpu.late.serve import load as load_late

        return load_late(request)
    if request.objective == "causal_lm":
        from ragd_tune_cpu.lm.generator import load as load_lm

        return load_lm(request)
    if request.objective == "relevance":
        from ragd_tune_cpu.relevance.serve import load as load_pairs

        return load_pairs(request)
    if request.side == "query":
        from ragd_tune_cpu.query.serve import load as load_query

        return load_query(request)
    from ragd_tune_cpu.encoder import load

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
    """Write ``folder``, which sentence-transformers loads, ``onnx``, or ``stanford`` (ColBERT)."""
    from ragd_tune_cpu.export import export

    loaded = cast("Encoder | MultiEncoder | PairScorer | Generator", model)
    return export(loaded, format, out)
