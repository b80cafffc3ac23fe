from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ragd_tune.errors import RefusedAdapterError, TuneError
from ragd_tune.interchange import mlx, peft, tensors
from ragd_tune.interchange.lora import Lora, Part

LAYERS = ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", "model.embed_tokens")


def adapter(*, dora: bool = False) -> Lora:
    draw = np.random.default_rng(0)
    parts = {
        name: Part(
            a=draw.normal(size=(rank, 6)).astype(np.float32),
            b=draw.normal(size=(4, rank)).astype(np.float32),
            scale=scale,
            magnitude=draw.random(4).astype(np.float32) if dora else None,
            embedding=name.endswith("embed_tokens"),
        )
        for name, rank, scale in zip(LAYERS, (2, 3, 1), (2.0, 2.0, 0.3), strict=True)
    }
    return Lora(parts=parts, dropout=0.1, base_name="base", quantised={"quantised": "four"})


@pytest.mark.parametrize("dora", [False, True])
def test_every_update_survives_one_rank_and_one_scale(tmp_path: Path, dora: bool) -> None:
    one = adapter(dora=dora)
    mlx.write(one, tmp_path)
    two = mlx.read(tmp_path)
    assert two.parts.keys() == one.parts.keys()
    for name, part in one.parts.items():
        other = two.parts[name]
        assert other.rank == 3
        assert other.scale == 2.0
        assert other.embedding == part.embedding
        update = part.scale * part.b @ part.a
        assert np.abs(other.scale * other.b @ other.a - update).max() <= 1e-6
        if part.magnitude is not None and other.magnitude is not None:
            assert np.array_equal(other.magnitude, part.magnitude)
    assert (two.dora, two.dropout, two.base_name) == (dora, 0.1, "base")
    assert two.quantised == one.quantised


def test_a_round_trip_by_way_of_peft_ends_with_the_same_bytes(tmp_path: Path) -> None:
    mlx.write(adapter(), tmp_path / "one")
    peft.write(mlx.read(tmp_path / "one"), tmp_path / "peft")
    mlx.write(peft.read(tmp_path / "peft"), tmp_path / "two")
    for name in (mlx.CONFIG, mlx.WEIGHTS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_layers_are_named_as_within_a_block_and_tables_by_their_whole_name(tmp_path: Path) -> None:
    mlx.write(adapter(), tmp_path)
    told = json.loads((tmp_path / mlx.CONFIG).read_text(encoding="utf-8"))
    assert told["lora_parameters"]["keys"] == [
        "mlp.up_proj",
        "model.embed_tokens",
        "self_attn.q_proj",
    ]
    assert told["num_layers"] == mlx.ALL_LAYERS


def edit(folder: Path, **values: object) -> None:
    path = folder / mlx.CONFIG
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**raw, **values}), encoding="utf-8")


def test_what_cannot_cross_is_refused_by_name(tmp_path: Path) -> None:
    mlx.write(adapter(), tmp_path)
    kept = tensors.read(tmp_path / mlx.WEIGHTS)
    experts = {"model.layers.0.mlp.switch_mlp.up_proj.lora_a": np.ones((4, 2, 6), np.float32)}
    tensors.write(tmp_path / mlx.WEIGHTS, kept | experts)
    with pytest.raises(RefusedAdapterError, match="experts of a mixture"):
        mlx.read(tmp_path)
    tensors.write(tmp_path / mlx.WEIGHTS, kept | {"lm_head.weight": np.ones((2, 2), np.float32)})
    with pytest.raises(RefusedAdapterError, match=r"lm_head\.weight is no LoRA matrix"):
        mlx.read(tmp_path)
    edit(tmp_path, fine_tune_type="full")
    with pytest.raises(RefusedAdapterError, match="tuning of all weights"):
        mlx.read(tmp_path)


def test_a_damaged_adapter_is_a_clear_error(tmp_path: Path) -> None:
    mlx.write(adapter(), tmp_path)
    edit(tmp_path, lora_parameters={"rank": 3})
    with pytest.raises(TuneError, match="no lora_parameters with a scale"):
        mlx.read(tmp_path)
    (tmp_path / mlx.CONFIG).write_text("{", encoding="utf-8")
    with pytest.raises(TuneError, match="is not JSON"):
        mlx.read(tmp_path)
    (tmp_path / mlx.WEIGHTS).unlink()
    with pytest.raises(TuneError, match="is no adapter of mlx-lm"):
        mlx.read(tmp_path)
