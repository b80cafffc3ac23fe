"""The option ``blend`` on MLX: half of the way, and the same place as on `cpu`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

TEXTS = ["anchor apple arrow", "harbour hill honey"]


def read(place: Path) -> dict[str, Any]:
    """Return the tensors in ``place``."""
    (path,) = place.glob("*.safetensors")
    return load_file(path)


def test_half_of_all_weights_is_their_mean_with_the_bases(pair: Any, cell_of: Any) -> None:
    bench = pair().mlx
    half, whole = (bench.fresh(cell_of("full"), max_steps=6, blend=one) for one in (0.5, 1.0))
    start = read(bench.base("contrastive").path)
    made, trained = read(half.plan.out), read(whole.plan.out)
    assert made.keys() == trained.keys()
    assert sum(np.abs(trained[name] - start[name]).max() > 1e-4 for name in made) > len(made) / 2
    for name, value in made.items():
        np.testing.assert_allclose(value, (start[name] + trained[name]) / 2, rtol=0, atol=1e-6)


def test_half_of_a_lora_adapter_adds_half_to_each_layer(pair: Any, cell_of: Any) -> None:
    bench = pair().mlx
    half, whole = (bench.fresh(cell_of("lora"), max_steps=6, blend=one) for one in (0.5, 1.0))
    made, trained = read(half.plan.out), read(whole.plan.out)
    assert half.files["adapter_config.json"] == whole.files["adapter_config.json"]
    assert made.keys() == trained.keys()
    for name, value in trained.items():
        np.testing.assert_array_equal(made[name], value / 2 if ".lora_B." in name else value)


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_both_backends_come_to_the_same_place(pair: Any, cell_of: Any, tuning: str) -> None:
    benches = pair()
    runs = benches.train(cell_of(tuning), max_steps=6, blend=0.5)
    found = [
        bench.load(run).embed(TEXTS, "query") for bench, run in zip(benches.both, runs, strict=True)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-4)
