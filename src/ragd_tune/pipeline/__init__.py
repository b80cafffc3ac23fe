"""The only orchestration: the commands and the Python API both call it."""

from ragd_tune.pipeline.forgetting import Other
from ragd_tune.pipeline.planning import Planned, Request, declared, plan
from ragd_tune.pipeline.proving import Proved, prove
from ragd_tune.pipeline.training import Trained, commit, train
from ragd_tune.pipeline.workshop import Workshop, workshop

__all__ = [
    "Other",
    "Planned",
    "Proved",
    "Request",
    "Trained",
    "Workshop",
    "commit",
    "declared",
    "plan",
    "prove",
    "train",
    "workshop",
]
