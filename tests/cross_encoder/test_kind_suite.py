from __future__ import annotations

from ragd_tune.testing import KindSuite


class TestCrossEncoder(KindSuite):
    kind = "cross-encoder"
