"""Small sound adapters, and a store to put them in."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from ragd_tune.store import Entry, Manifest, Store
from ragd_tune.store.manifest import FILE

FIELDS: dict[str, Any] = {
    "kind": "bi-encoder",
    "objective": "contrastive",
    "tuning": "lora",
    "format": "peft",
    "base": {"name": "all-MiniLM-L6-v2", "fingerprint": "f" * 64},
    "dimension": 4,
    "dimensions": [4, 2],
    "max_length": 128,
    "prompts": {"query": "query: "},
    "pooling": "mean",
    "normalise": True,
    "space": "e" * 64,
}


def fill(folder: Path, value: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ones: NDArray[Any] = np.ones((4, 2), np.float16)
    weights: dict[str, NDArray[Any]] = {
        "lora_A": np.full((2, 4), value, np.float32),
        "lora_B": ones,
    }
    save_file(weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2}', encoding="utf-8")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text("{}", encoding="utf-8")


def seal(folder: Path, **fields: Any) -> Manifest:
    """Describe ``folder`` as it is, and write that into it."""
    manifest = Manifest.build(folder, **{**FIELDS, **fields})
    (folder / FILE).write_bytes(manifest.to_bytes())
    return manifest


def snapshot(folder: Path) -> dict[str, str]:
    """Everything below ``folder``, by name and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder" if path.is_dir() else "something else"
    return found


Put = Callable[..., Entry]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def put(store: Store) -> Put:
    """Commit an adapter whose weights are ``value``; ``proven`` records a proof as well."""

    def put(value: float, *, proven: bool | None = None, **fields: Any) -> Entry:
        draft = store.draft()
        fill(draft, value)
        manifest = Manifest.build(draft, **{**FIELDS, **fields})
        names = [f"adapter-{value:g}"]
        path = store.commit(draft, manifest, names)
        if proven is not None:
            told = {"sentence": "nDCG@10 rose by +0.0100, 95% interval -0.0100 to +0.0300"}
            store.record(path.name, "proof", {"passed": proven, "report": told})
        return store.get(path.name)

    return put


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A sound adapter folder, sealed, outside of any store."""
    folder = tmp_path / "elsewhere" / "adapter"
    fill(folder, 1.0)
    seal(folder)
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("template"))
    draft = store.draft()
    save_file({"w": np.ones(3, np.float32)}, draft / "adapter_model.safetensors")
    fields = {"kind": "k", "objective": "o", "tuning": "t", "format": "f"}
    base = {"name": "b", "fingerprint": "f" * 64}
    path = store.commit(draft, Manifest.build(draft, **fields, base=base), ["precious"])
    store.record(path.name, "proof", {"passed": True})
    store.activate("precious", "embedder")
    return store.root


@pytest.fixture
def guarded(template: Path, tmp_path: Path) -> Store:
    """A store with something in it to lose."""
    shutil.copytree(template, tmp_path / "home")
    return Store(tmp_path / "home")


@pytest.fixture(name="seal")
def seal_fixture() -> Callable[..., Manifest]:
    return seal


@pytest.fixture(name="fill")
def fill_fixture() -> Callable[[Path, float], None]:
    return fill


@pytest.fixture(name="snapshot")
def snapshot_fixture() -> Callable[[Path], dict[str, str]]:
    return snapshot
