"""Loaded models over the plugin hooks: embedders, MaxSim, pinning and swapping."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragd_tune.serve.embedder import Embedder
    from ragd_tune.serve.generator import Generator
    from ragd_tune.serve.load import load_base
    from ragd_tune.serve.reranker import Reranker
    from ragd_tune.serve.served import ServedModel, open_model
    from ragd_tune.serve.swap import Index, Pair, Serving

# A name that is also a module's (load, maxsim) would become that module: import those from there.
# Loaded on first use: what only opens a model needs neither the store nor NumPy yet.
_LAZY = {
    "Embedder": "embedder",
    "Generator": "generator",
    "Index": "swap",
    "Pair": "swap",
    "Reranker": "reranker",
    "ServedModel": "served",
    "Serving": "swap",
    "load_base": "load",
    "open_model": "served",
}

__all__ = [
    "Embedder",
    "Generator",
    "Index",
    "Pair",
    "Reranker",
    "ServedModel",
    "Serving",
    "load_base",
    "open_model",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
