from __future__ import annotations

from ragd_tune.testing import KindSuite


class TestBiEncoder(KindSuite):
    kind = "bi-encoder"
