"""The hooks of the backend ``unsloth``. Frameworks are imported inside the calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragd_tune import hookimpl
from ragd_tune_unsloth import detect

if TYPE_CHECKING:
    from ragd_tune.backends import Backend, Dense, Limits, LoadRequest, Model
    from ragd_tune.objectives import Rows
    from ragd_tune.plan import Emit, Estimate, Role, TrainPlan, TrainResult
    from ragd_tune_unsloth.encoder import Encoder
    from ragd_tune_unsloth.generator import Generator


@hookimpl
def ragd_tune_backends() -> Iterable[Backend]:
    """Return the one backend of this package."""
    return [detect.backend()]


@hookimpl
def ragd_tune_estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Time a few real steps on a copy of the model that is thrown away."""
    from ragd_tune_unsloth.engine import start

    start()
    from ragd_tune_unsloth.estimate import estimate

    return estimate(plan, rows)


@hookimpl
def ragd_tune_train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Train with Unsloth's model classes; see :mod:`ragd_tune_unsloth.train`."""
    from ragd_tune_unsloth.engine import start

    start()
    from ragd_tune_unsloth.train import train

    return train(plan, rows, emit)


@hookimpl
def ragd_tune_load_adapter(request: LoadRequest) -> Model:
    """Load a base, or one with an adapter on it; Unsloth is not imported."""
    if request.objective == "causal_lm":
        from ragd_tune_unsloth import generator

        return generator.load(request)
    from ragd_tune_unsloth import encoder

    return encoder.load(request)


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
    """Refuse: the backend ``cpu`` loads the same adapters and writes them for other programs."""
    from ragd_tune.errors import UsageError

    raise UsageError(
        f"the backend unsloth does not write the format {format!r}",
        mend="the backend cpu writes folder, of the same adapters",
    )
