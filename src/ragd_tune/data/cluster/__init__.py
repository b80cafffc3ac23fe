"""Work on several machines, by Ray Data: nothing here schedules anything itself."""

from __future__ import annotations

from ragd_tune.data.cluster.connect import clustered
from ragd_tune.data.cluster.work import Cluster, Hand, Shared

__all__ = ["Cluster", "Hand", "Shared", "clustered"]
