"""Should you fine-tune, what, and how: answered from measurements on this machine."""

from __future__ import annotations

from ragd_tune.advise.facts import Facts, Hardware
from ragd_tune.advise.recommend import Advice, recommend

__all__ = ["Advice", "Facts", "Hardware", "recommend"]
