"""The host: ragd's configuration, its index, and the ways in which it gets its models from here.

Nothing here imports ragd itself, and nothing imports chromadb before it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragd_tune.ragd.chroma import Chunk, chunks, database_of

_LAZY = {"Chunk": "chroma", "chunks": "chroma", "database_of": "chroma"}

__all__ = ["Chunk", "chunks", "database_of"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
