"""Hard negatives: passages that look like an answer and are none."""

from __future__ import annotations

from ragd_tune.data.mine.run import Mined, Mining, mine
from ragd_tune.data.mine.select import REASONS, Selector, rank_fusion

__all__ = ["REASONS", "Mined", "Mining", "Selector", "mine", "rank_fusion"]
