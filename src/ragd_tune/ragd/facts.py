"""What ragd's configuration says, read from its own model, from a mapping, or from its file.

The defaults are those of ragd 1.0.10 for keys that its file leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragd_tune.errors import UsageError

CUSTOM = "custom"
"""What ``embedding.model`` is when ``embedding.custom_model_path`` names the model (ADR-0027)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """The keys of ragd's configuration that decide which model meets which index.

    ``chroma_path`` is the index; it holds ``bm25.db`` as well. ``dimension`` counts floats of a
    vector. ``min_score`` and ``min_relevance`` (0 to 1) drop results below them in search and chat;
    ``divisor`` brings BM25 scores to that range. A search shows ``limit`` results, and looks at
    ``fetched`` times as many of each of its sides. ``custom``, ``adapter`` and ``reranker`` are not
    among the keys of ragd 1.0.
    """

    model: str = "all-MiniLM-L6-v2"
    dimension: int = 384
    batch_size: int = 32
    device: str | None = None
    custom: str | None = None
    adapter: str | None = None
    reranker: str | None = None
    late_chunking: bool = False
    data_dir: Path
    chroma_dir: str = "chroma"
    encrypted: bool = False
    min_score: float = 0.55
    min_relevance: float = 0.55
    divisor: float = 10.0
    limit: int = 10
    fetched: int = 3

    @property
    def chroma_path(self) -> Path:
        """Folder of the index."""
        return self.data_dir / self.chroma_dir


_KEYS: Mapping[str, tuple[str, ...]] = {
    "model": ("embedding", "model"),
    "dimension": ("embedding", "dimension"),
    "batch_size": ("embedding", "batch_size"),
    "device": ("embedding", "device"),
    "custom": ("embedding", "custom_model_path"),
    "adapter": ("embedding", "adapter_path"),
    "reranker": ("retrieval", "reranker_path"),
    "late_chunking": ("embedding", "late_chunking"),
    "data_dir": ("storage", "data_dir"),
    "chroma_dir": ("storage", "chroma_dir"),
    "encrypted": ("security", "encryption", "enabled"),
    "min_score": ("retrieval", "min_score"),
    "min_relevance": ("chat", "min_relevance"),
    "divisor": ("search_tuning", "bm25_normalisation_divisor"),
    "limit": ("retrieval", "default_limit"),
    "fetched": ("search_tuning", "rrf_fetch_multiplier"),
}
WRITTEN: Mapping[tuple[str, str], str] = {
    ("embedding", "model"): "model",
    ("embedding", "dimension"): "dimension",
    ("storage", "chroma_dir"): "chroma_dir",
    ("retrieval", "min_score"): "min_score",
    ("chat", "min_relevance"): "min_relevance",
}
"""The keys that an activation writes, and the facts that they are."""
_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("dimension", "batch_size", "limit", "fetched"), int),
    **dict.fromkeys(("min_score", "min_relevance", "divisor"), float),
    **dict.fromkeys(("late_chunking", "encrypted"), bool),
    **dict.fromkeys(("model", "device", "custom", "adapter", "reranker", "chroma_dir"), str),
    "data_dir": Path,
}


def host_config(config: object) -> HostConfig:
    """Return what ``config`` says: ragd's own model, or a mapping of the same shape.

    :raises UsageError: a key holds what it cannot hold; names the key.
    """
    found: dict[str, Any] = {"data_dir": Path.home() / ".ragd"}
    for name, keys in _KEYS.items():
        value = dig(config, keys)
        if value is not None:
            found[name] = _typed(value, _TYPES[name], ".".join(keys))
    return HostConfig(**found)


def dig(config: object, keys: tuple[str, ...]) -> object:
    """Return the value under ``keys``; None where one of them is missing."""
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)
        if config is None:
            return None
    return config


def _typed(value: object, kind: type, key: str) -> object:
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, Path):
        return str(value)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise UsageError(
        f"ragd's configuration has {key}: {value!r}, which is no {kind.__name__}",
        mend="correct it in ragd's config.yaml (`ragd config validate` checks the file)",
    )
