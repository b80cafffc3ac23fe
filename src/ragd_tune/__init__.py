"""ragd-tune: fine-tune the models of a local RAG system, and prove that the result is better.

The names below are loaded on first use, so that ``import ragd_tune`` stays free of NumPy, pydantic
and every framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ragd_tune.serve.load import load as load
    from ragd_tune.store import Store as Store

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("ragd_tune")

_LAZY = {"load": "ragd_tune.serve.load", "Store": "ragd_tune.store"}

__all__ = ["Store", "__version__", "hookimpl", "load"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
