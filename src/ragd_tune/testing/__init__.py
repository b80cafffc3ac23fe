"""The conformance kit for third-party backends and kinds, and the fakes that tests run on.

Subclass :class:`BackendSuite` or :class:`KindSuite` in a test file; pytest does the rest. The names
are loaded on first use, because a worker process imports the fakes of this package without pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragd_tune.testing.backend_suite import BackendSuite as BackendSuite
    from ragd_tune.testing.interchange_suite import InterchangeSuite as InterchangeSuite
    from ragd_tune.testing.kind_suite import KindSuite as KindSuite
    from ragd_tune.testing.minimum import Minimum as Minimum
    from ragd_tune.testing.samples import contrastive_rows as contrastive_rows
    from ragd_tune.testing.samples import tiny_data as tiny_data

_LAZY = {
    "BackendSuite": "backend_suite",
    "InterchangeSuite": "interchange_suite",
    "KindSuite": "kind_suite",
    "Minimum": "minimum",
    "contrastive_rows": "samples",
    "tiny_data": "samples",
}

__all__ = [
    "BackendSuite",
    "InterchangeSuite",
    "KindSuite",
    "Minimum",
    "contrastive_rows",
    "tiny_data",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
