"""The hooks of the kind ``cross-encoder``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ragd_tune import hookimpl
from ragd_tune_cross_encoder.kind import CrossEncoder

if TYPE_CHECKING:
    from ragd_tune.kinds import ModelKind


@hookimpl
def ragd_tune_model_kinds() -> Iterable[ModelKind]:
    """Return the one kind of this package."""
    return [CrossEncoder()]
