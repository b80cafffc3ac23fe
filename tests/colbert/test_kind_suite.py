from __future__ import annotations

from ragd_tune.testing import KindSuite


class TestColbert(KindSuite):
    kind = "colbert"
