"""Plans, tiny bases and runs for the tests of the cpu backend, all through the hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.backends import LoadRequest
from ragd_tune.objectives import Rows
from ragd_tune.options import LORA, RUN, Value
from ragd_tune.plan import BaseModel, Estimate, Event, TrainPlan, TrainResult
from ragd_tune.registry import Registry, discover
from ragd_tune.testing import contrastive_rows
from ragd_tune.testing.tiny import tiny_encoder

QUICK: dict[str, Value] = {
    "max_steps": 6,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "max_length": 32,
    "precision": "fp32",
    "lora_rank": 4,
}


@dataclass(kw_only=True)
class Lab:
    """A folder in which plans are made and run."""

    folder: Path
    registry: Registry
    rows: Rows = field(default_factory=contrastive_rows)
    events: list[Event] = field(default_factory=list)
    count: int = 0

    def base(self, architecture: str = "bert", **settings: Any) -> Path:
        """Return a tiny base of its own."""
        self.count += 1
        return tiny_encoder(self.folder / f"base-{self.count}", architecture, **settings)

    def plan(
        self,
        base: Path,
        *,
        tuning: str = "lora",
        name: str = "tiny",
        objective: str = "contrastive",
        **options: Value,
    ) -> TrainPlan:
        """Return a plan in a run folder of its own."""
        self.count += 1
        own = self.registry.objectives[objective].options
        values = {option.name: option.default for option in (*RUN, *LORA, *own)}
        return TrainPlan(
            kind="bi-encoder",
            objective=objective,
            tuning=tuning,
            side="both",
            backend="cpu",
            device="cpu",
            base=BaseModel(name=name, path=base, fingerprint="f" * 64, source="hub"),
            data_fingerprint="d",
            rows_fingerprint=self.rows.fingerprint,
            out=self.folder / f"run-{self.count}" / "out",
            options={**values, **QUICK, **options},
        )

    def train(
        self, plan: TrainPlan, emit: Callable[[Event], None] = lambda event: None
    ) -> TrainResult:
        """Train ``plan`` on :attr:`rows`."""

        def note(event: Event) -> None:
            self.events.append(event)
            emit(event)

        result = self.registry.call("cpu", "ragd_tune_train", plan=plan, rows=self.rows, emit=note)
        assert isinstance(result, TrainResult)
        return result

    def estimate(self, plan: TrainPlan) -> Estimate:
        """Estimate ``plan`` on :attr:`rows`."""
        made = self.registry.call("cpu", "ragd_tune_estimate", plan=plan, rows=self.rows)
        assert isinstance(made, Estimate)
        return made

    def load(self, plan: TrainPlan, result: TrainResult | None = None, **changes: Any) -> Any:
        """Load what ``plan`` made, or its bare base."""
        fields: dict[str, Any] = {
            "objective": plan.objective,
            "format": result.format if result else "base",
            "base": plan.base,
            "device": "cpu",
            "adapter": plan.out if result else None,
            "facts": result.facts if result else None,
        }
        request = LoadRequest(**{**fields, **changes})
        return self.registry.call("cpu", "ragd_tune_load_adapter", request=request)

    def embed(self, model: Any, texts: list[str], role: str = "document") -> Any:
        """Return vectors of ``texts``."""
        return self.registry.call("cpu", "ragd_tune_embed", model=model, texts=texts, role=role)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(folder=tmp_path, registry=discover())


@pytest.fixture
def passes(model: Any) -> Iterator[list[int]]:
    """The number of texts of every pass through the encoder of the file's own ``model``."""
    calls: list[int] = []
    encoder = model[0].auto_model
    plain = encoder.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        calls.append(len(kwargs["input_ids"]))
        return plain(*args, **kwargs)

    encoder.forward = forward
    yield calls
    del encoder.forward
