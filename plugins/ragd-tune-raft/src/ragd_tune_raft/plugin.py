"""The hooks of the kind ``raft``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ragd_tune import hookimpl
from ragd_tune_raft.kind import Raft

if TYPE_CHECKING:
    from ragd_tune.kinds import ModelKind


@hookimpl
def ragd_tune_model_kinds() -> Iterable[ModelKind]:
    """Return the one kind of this package."""
    return [Raft()]
