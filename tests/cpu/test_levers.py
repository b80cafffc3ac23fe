"""The benchmark of levers measures the model that it says, on each split, and leaves it so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from benchmarks.levers import train
from benchmarks.levers.lever import Lever
from benchmarks.levers.model import Low


@pytest.mark.parametrize(("low", "values"), [(False, (5.0, 1.0, 3.0)), (True, (4.0, 0.0, 2.0))])
def test_each_weight_is_measured_from_the_tuned_model(
    monkeypatch: pytest.MonkeyPatch, low: bool, values: tuple[float, ...]
) -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    model: Any = torch.nn.Sequential(Low(layer, 1) if low else layer)
    model.config = SimpleNamespace(hidden_size=1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        start = {name: p.detach().clone() for name, p in model.named_parameters()}
        moved = model[0].b if low else layer.weight
        moved.fill_(values[0])
    data: Any = SimpleNamespace(
        qrels={"dev": {0: {}}, "test": {0: {}}},
        queries=["a"], query_ids=[[1]], document_ids=[[1]], device="cpu",
    )  # fmt: skip
    monkeypatch.setattr(train, "embed", lambda *given: torch.zeros((1, 1)))
    monkeypatch.setattr(train, "ndcg", lambda *given: moved.item())
    lever = Lever(wise=(1.0, 0.0, 0.5))
    for split in ("dev", "test"):
        found = train._measure(model, start, data, lever, split)
        assert tuple(found.values()) == values
    assert moved.item() == values[0]
