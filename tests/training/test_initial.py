from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ragd_tune.training.initial import lora_a


def drawn(layer: str = "layer.0.query", *, seed: int = 0) -> NDArray[np.float32]:
    return lora_a(layer, rank=16, width=384, seed=seed)


def test_the_start_of_a_matrix_never_changes() -> None:
    """Runs are replayed from their plans, and backends compared: these numbers are a contract."""
    found = lora_a("encoder.layer.0.attention.self.query", rank=2, width=4, seed=0)
    assert found.dtype == np.float32
    assert found.tolist() == [
        [0.13938546180725098, 0.32919520139694214, -0.03607821464538574, 0.4538053274154663],
        [0.24073803424835205, 0.10292816162109375, 0.3988126516342163, -0.44092023372650146],
    ]


def test_layers_and_seeds_differ() -> None:
    assert not np.array_equal(drawn(), drawn("layer.1.query"))
    assert not np.array_equal(drawn(), drawn(seed=1))


def test_it_is_uniform_within_one_over_the_root_of_the_width() -> None:
    found = np.concatenate([drawn(f"layer.{i}").ravel() for i in range(40)]) * math.sqrt(384)
    assert np.abs(found).max() <= 1.0
    assert abs(found.mean()) < 0.01
    assert abs(found.var() - 1 / 3) < 0.01
