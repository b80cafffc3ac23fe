"""A store, a fake base and adapters trained on it, all real and all small."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragd_tune.models import files_digest, fingerprint, remember, space_id
from ragd_tune.options import CONTRASTIVE, LORA, RUN, Value
from ragd_tune.plan import BaseModel, TrainPlan
from ragd_tune.registry import Registry
from ragd_tune.store import Entry, Manifest, Store
from ragd_tune.testing import contrastive_rows
from ragd_tune.testing.fakes import FakePlugin, make_base, registry


@dataclass(frozen=True)
class Shop:
    """A backend, a base, and an empty store that knows the base."""

    plugin: FakePlugin
    registry: Registry
    base: BaseModel
    store: Store
    folder: Path
    backend: str = "fake"

    def train(self, name: str, *, tuning: str = "lora", side: str = "both", **more: Value) -> Entry:
        """Train on the sample rows and commit the adapter."""
        rows = contrastive_rows()
        options = {option.name: option.default for option in (*RUN, *CONTRASTIVE, *LORA)}
        options |= {"batch_size": 4, "learning_rate": 1e-3, "max_steps": 6, **more}
        plan = TrainPlan(
            kind="bi-encoder", objective="contrastive", tuning=tuning, side="both",
            backend=self.backend, device="cpu", base=self.base, data_fingerprint="d" * 64,
            rows_fingerprint=rows.fingerprint, options=options,
            out=Path(tempfile.mkdtemp(prefix="run-", dir=self.folder)) / "out",
        )  # fmt: skip
        result = self.registry.call(
            self.backend, "ragd_tune_train", plan=plan, rows=rows, emit=lambda event: None
        )
        facts = result.facts
        draft = self.store.draft()
        shutil.copytree(plan.out, draft, dirs_exist_ok=True)
        encoder = files_digest(draft, self.base.fingerprint)
        encoder = self.base.fingerprint if side == "query" else encoder
        manifest = Manifest.build(
            draft, kind="bi-encoder", objective="contrastive", tuning=tuning, side=side,
            format=result.format, base={"name": "fake-base", "fingerprint": self.base.fingerprint},
            dimension=facts.dimension, dimensions=facts.dimensions, max_length=facts.max_length,
            prompts=dict(facts.prompts), pooling=facts.pooling, normalise=facts.normalise,
            space=space_id(facts, encoder=encoder),
        )  # fmt: skip
        self.store.commit(draft, manifest, names=[name])
        return self.store.get(name)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    plugin = FakePlugin()
    path = make_base(tmp_path / "base")
    store = Store(tmp_path / "home")
    base = BaseModel(name="fake-base", path=path, fingerprint=fingerprint(path))
    remember(store.root, base)
    return Shop(plugin=plugin, registry=registry(plugin), base=base, store=store, folder=tmp_path)
