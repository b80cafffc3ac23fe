"""The option ``blend`` on Unsloth: what a LoRA adapter adds to the base, made smaller."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ragd_tune.plan import TrainPlan
from ragd_tune.registry import discover
from ragd_tune.testing import contrastive_rows
from ragd_tune.testing.tiny import tiny_encoder


def test_half_of_a_lora_adapter_adds_half_to_each_layer(
    tmp_path: Path, make_plan: Callable[..., TrainPlan]
) -> None:
    base, rows, registry = tiny_encoder(tmp_path), contrastive_rows(), discover()
    found = []
    for blend in (0.5, 1.0):
        plan = make_plan(base, blend=blend)
        plan.out.parent.mkdir(parents=True)
        registry.call("unsloth", "ragd_tune_train", plan=plan, rows=rows, emit=lambda event: None)
        found.append(load_file(plan.out / "adapter_model.safetensors"))
    half, whole = found
    assert half.keys() == whole.keys()
    assert any(np.abs(value).max() > 1e-5 for name, value in whole.items() if ".lora_B." in name)
    for name, value in whole.items():
        np.testing.assert_array_equal(half[name], value / 2 if ".lora_B." in name else value)
