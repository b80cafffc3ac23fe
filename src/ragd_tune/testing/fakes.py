"""A backend that is small but real: it trains, checkpoints, resumes, serves and exports in NumPy.

Tests of whatever stands above the hooks run on it in milliseconds, in a worker process too::

    def test_something(tmp_path, monkeypatch):
        advertise(tmp_path, monkeypatch.setenv, monkeypatch.syspath_prepend)
        base = make_base(tmp_path / "base")

Its model is a bag of hashed words times one matrix; see :mod:`ragd_tune.testing.fake_model`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune import hookimpl
from ragd_tune.backends import (
    Availability,
    Backend,
    LoadRequest,
    RerankRequest,
    serve_cells,
    train_cells,
)
from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Estimate, Role, TrainPlan, TrainResult
from ragd_tune.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.testing.fake_model import FakeModel

NAME = "fake"
OBJECTIVES = ("contrastive", "relevance")


class FakePlugin:
    """The plugin. ``name`` and ``priority`` let a test register several that differ."""

    def __init__(self, name: str = NAME, priority: int = 1) -> None:
        self.name = name
        self.priority = priority
        self.calls: list[str] = []
        """Directed hooks that were called on this very plugin, in order."""

    @hookimpl
    def ragd_tune_backends(self) -> Iterable[Backend]:
        """Declare ``contrastive`` and ``relevance`` by ``full`` and ``lora`` on the CPU."""
        return [
            Backend(
                name=self.name,
                title="a bag of words in NumPy, for tests",
                train_cells=train_cells(OBJECTIVES, ("full", "lora"), ("cpu",)),
                serve_cells=serve_cells(
                    ("base", "full", "peft"), OBJECTIVES, ("cpu",), sides=("both", "query")
                ),
                detect=self._detect,
            )
        ]

    def _detect(self) -> Availability:
        return Availability(devices=("cpu",), priority=self.priority)

    @hookimpl
    def ragd_tune_estimate(self, plan: TrainPlan, rows: Rows) -> Estimate:
        """Time a few steps on a copy."""
        from ragd_tune.testing import fake_training

        self.calls.append("estimate")
        return fake_training.estimate(plan, rows)

    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        """Train by Adam on the in-batch softmax; the loss really falls."""
        from ragd_tune.testing import fake_training

        self.calls.append("train")
        return fake_training.train(plan, rows, emit)

    @hookimpl
    def ragd_tune_load_adapter(self, request: LoadRequest) -> FakeModel:
        """Load the base's matrix, with what the adapter adds or puts in its place."""
        from ragd_tune.testing.fake_model import FakeModel

        self.calls.append("load")
        return FakeModel.load(request)

    @hookimpl
    def ragd_tune_embed(
        self, model: FakeModel, texts: Sequence[str], role: Role
    ) -> NDArray[np.float32]:
        """Return unit vectors, float32 (n, dimension)."""
        self.calls.append("embed")
        return model.embed(texts, role)

    @hookimpl
    def ragd_tune_rerank(
        self, model: FakeModel, requests: Sequence[RerankRequest]
    ) -> list[NDArray[np.float32]]:
        """Return scores between 0 and 1 by request, float32 (passages,)."""
        from ragd_tune.testing.fake_relevance import scores

        self.calls.append("rerank")
        length = model.facts.max_length
        return [scores(model.weight, one.query, one.passages, length) for one in requests]

    @hookimpl
    def ragd_tune_export(self, model: FakeModel, format: str, out: Path) -> list[Path]:
        """Write a folder that :class:`FakeModel` loads as a base."""
        self.calls.append("export")
        return model.export(format, out)


plugin = FakePlugin()
"""What the entry point of :func:`advertise` names."""


def registry(*plugins: FakePlugin) -> Registry:
    """Return a registry of these plugins alone; of one :class:`FakePlugin` if none is given."""
    made = Registry()
    for one in plugins or (FakePlugin(),):
        if not made.register(one, name=one.name, distribution=f"ragd-tune-{one.name}"):
            raise ValueError(f"{one.name} is registered already")
    return made


def make_base(folder: Path, *, seed: int = 0, dimension: int = 16) -> Path:
    """Write a base model of this backend into ``folder`` and return it."""
    from ragd_tune.testing import fake_model

    return fake_model.make_base(folder, seed=seed, dimension=dimension)


def advertise(
    folder: Path,
    set_variable: Callable[[str, str], None],
    add_path: Callable[[str], None],
    *,
    name: str = NAME,
    value: str = f"{__name__}:plugin",
) -> None:
    """Make this process and those that it starts find a plugin, as if pip had installed it.

    A small ``dist-info`` is written into ``folder``, which goes on ``PYTHONPATH`` (by
    ``set_variable``) and on this process's own path (by ``add_path``): ``monkeypatch.setenv``
    and ``monkeypatch.syspath_prepend`` undo both when the test ends.
    """
    info = folder / f"ragd_tune_{name.replace('-', '_')}-0.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    words = f"Metadata-Version: 2.1\nName: ragd-tune-{name}\nVersion: 0.0\n"
    (info / "METADATA").write_text(words, encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[ragd_tune]\n{name} = {value}\n", encoding="utf-8")
    old = os.environ.get("PYTHONPATH")
    set_variable("PYTHONPATH", os.pathsep.join([str(folder), *([old] if old else [])]))
    add_path(str(folder))
