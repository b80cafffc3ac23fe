"""Refusing a base that would run code or be unpickled, before anything loads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragd_tune.errors import NotInstalledError, TuneError, UsageError


def check(folder: Path, name: str) -> str:
    """Return the base's architecture (``model_type``).

    :raises NotInstalledError: there is no model in ``folder``.
    :raises UsageError: it needs code of its own, or unpickling.
    """
    config = read(folder / "config.json")
    if not config:
        raise NotInstalledError(f"base model {name}: {folder} holds no model (no config.json)")
    mend = "choose a base whose architecture transformers carries itself"
    if "auto_map" in config:
        raise UsageError(f"base model {name} needs code of its own: config.json", mend=mend)
    for module in read(folder / "modules.json") or []:
        kind = str(module.get("type", ""))
        if not kind.startswith("sentence_transformers."):
            raise UsageError(f"base model {name} needs code of its own: {kind}", mend=mend)
    if not any(folder.glob("*.safetensors")):
        raise UsageError(
            f"base model {name} has no weights as safetensors; a pickle runs code when it is read",
            mend="choose a revision with model.safetensors",
        )
    return str(config.get("model_type", ""))


def read(path: Path) -> Any:
    """Return the JSON in ``path``, or None if there is no such file."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        mend = "fetch the base model again"
        raise TuneError(f"{path}: is not JSON: {error}", mend=mend) from error
