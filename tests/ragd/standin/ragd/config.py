"""The configuration: a YAML file, unknown keys dropped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

DEFAULTS: dict[str, dict[str, Any]] = {
    "embedding": {"model": "base", "dimension": 16, "device": None, "batch_size": 32},
    "storage": {"data_dir": None, "chroma_dir": "chroma"},
    "retrieval": {"min_score": 0.0},
    "chat": {"min_relevance": 0.55},
}


def load_config(path: Path | None = None) -> Any:
    path = path or Path.home() / ".ragd" / "config.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    made = SimpleNamespace()
    for section, defaults in DEFAULTS.items():
        given = raw.get(section) or {}
        values = {key: given.get(key, value) for key, value in defaults.items()}
        setattr(made, section, SimpleNamespace(**values))
    made.storage.data_dir = Path(made.storage.data_dir)
    made.chroma_path = made.storage.data_dir / made.storage.chroma_dir
    return made
