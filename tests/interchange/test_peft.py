from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune.errors import RefusedAdapterError, TuneError
from ragd_tune.interchange import mlx, peft, tensors
from ragd_tune.interchange.lora import Lora, Part, check_shapes


def part(rank: int = 2, *, scale: float = 2.0, dora: bool = False, embedding: bool = False) -> Part:
    draw = np.random.default_rng(rank)
    return Part(
        a=draw.normal(size=(rank, 5)).astype(np.float32),
        b=draw.normal(size=(3, rank)).astype(np.float32),
        scale=scale,
        magnitude=draw.random(3).astype(np.float32) if dora else None,
        embedding=embedding,
    )


def same(one: Lora, two: Lora) -> None:
    assert one.parts.keys() == two.parts.keys()
    for name, first in one.parts.items():
        second = two.parts[name]
        assert np.array_equal(first.a, second.a)
        assert np.array_equal(first.b, second.b)
        assert first.scale == second.scale
        assert first.embedding == second.embedding
        assert (first.magnitude is None) == (second.magnitude is None)
        if first.magnitude is not None and second.magnitude is not None:
            assert np.array_equal(first.magnitude, second.magnitude)
    assert (one.dropout, one.base_name, one.task) == (two.dropout, two.base_name, two.task)
    assert one.quantised == two.quantised


@given(
    ranks=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    scales=st.lists(st.sampled_from([0.5, 1.0, 2.0, 0.3, 1 / 3, math.sqrt(2)]), min_size=6),
    dora=st.booleans(),
)
def test_what_is_written_is_read_again_with_every_rank_and_scale(
    tmp_path_factory: pytest.TempPathFactory, ranks: list[int], scales: list[float], dora: bool
) -> None:
    folder = tmp_path_factory.mktemp("adapter")
    names = ["layer.1.query", "layer.11.query", "my.layer.1.query", "embed", "up", "lm_head"]
    parts = {
        name: part(rank, scale=scale, dora=dora)
        for name, rank, scale in zip(names, ranks, scales, strict=False)
    }
    adapter = Lora(parts=parts, dropout=0.1, base_name="base", task="CAUSAL_LM")
    peft.write(adapter, folder)
    found = peft.read(folder)
    for name, one in parts.items():
        assert found.parts[name].rank == one.rank
        assert found.parts[name].scale == pytest.approx(one.scale, rel=1e-12)
        assert np.array_equal(found.parts[name].a, one.a)


def test_embeddings_magnitudes_and_the_quantised_base_are_kept(tmp_path: Path) -> None:
    parts = {"embed_tokens": part(3, embedding=True), "q_proj": part(2, dora=True)}
    adapter = Lora(parts=parts, quantised={"bits": 4, "fingerprint": "f" * 64})
    peft.write(adapter, tmp_path)
    same(peft.read(tmp_path), adapter)


def test_equal_adapters_are_equal_bytes(tmp_path: Path) -> None:
    names = ["b", "a", "c"]
    for folder, order in (("one", names), ("two", names[::-1])):
        parts = {name: part(2 + "abc".index(name)) for name in order}
        peft.write(Lora(parts=parts), tmp_path / folder)
    for name in (peft.CONFIG, peft.WEIGHTS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"r": 4, "lora_alpha": 8}, 2.0),
        ({"r": 4, "lora_alpha": 8, "use_rslora": True}, 4.0),
        ({"r": 8, "rank_pattern": {"query": 4}, "lora_alpha": 8}, 2.0),
        ({"r": 8, "rank_pattern": {"0.query": 4}, "alpha_pattern": {"query": 2}}, 0.5),
        ({"r": 4, "lora_alpha": 8, "alpha_pattern": {"uery": 2}}, 2.0),
        ({"r": 4, "lora_alpha": 8, "alpha_pattern": {".*query": 1, "query": 2}}, 0.25),
    ],
)
def test_a_layers_scale_is_the_one_that_peft_gives_it(config: dict[str, Any], scale: float) -> None:
    assert peft.scale(config, "layer.0.query", rank=4) == scale


def edit(folder: Path, **values: object) -> None:
    path = folder / peft.CONFIG
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**raw, **values}), encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"modules_to_save": ["classifier"]}, "modules_to_save"),
        ({"target_parameters": ["experts.gate_up_proj"]}, "experts of a mixture"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"bias": "all"}, "bias=all"),
        ({"lora_bias": True}, "lora_bias"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"peft_type": "IA3"}, "is IA3, and only LoRA crosses"),
    ],
)
def test_what_cannot_cross_is_refused_by_name(
    tmp_path: Path, values: dict[str, object], told: str
) -> None:
    peft.write(Lora(parts={"query": part()}), tmp_path)
    edit(tmp_path, **values)
    with pytest.raises(RefusedAdapterError, match=told):
        peft.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("base_model.model.classifier.modules_to_save.weight", (2, 2), "whole layers"),
        ("base_model.model.mlp.experts.lora_A.weight", (4, 2, 2), "experts of a mixture"),
        ("base_model.model.query.bias", (2,), "is no LoRA matrix"),
        ("query.lora_A.weight", (2, 2), "is no LoRA matrix"),
    ],
)
def test_a_tensor_that_would_be_lost_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], told: str
) -> None:
    peft.write(Lora(parts={"query": part()}), tmp_path)
    kept = tensors.read(tmp_path / peft.WEIGHTS)
    tensors.write(tmp_path / peft.WEIGHTS, kept | {name: np.ones(shape, np.float32)})
    with pytest.raises(RefusedAdapterError, match=told):
        peft.read(tmp_path)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / peft.CONFIG).unlink(),
        lambda folder: (folder / peft.WEIGHTS).unlink(),
        lambda folder: (folder / peft.CONFIG).write_text("{", encoding="utf-8"),
        lambda folder: (folder / peft.CONFIG).write_text("[]", encoding="utf-8"),
        lambda folder: (folder / peft.WEIGHTS).write_bytes(b"\x00" * 9),
        lambda folder: edit(folder, r=3),
        lambda folder: tensors.write(
            folder / peft.WEIGHTS,
            {"base_model.model.query.lora_A.weight": np.ones((2, 5), np.float32)},
        ),
        lambda folder: tensors.write(folder / peft.WEIGHTS, {}),
    ],
)
def test_a_damaged_adapter_is_a_clear_error(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    peft.write(Lora(parts={"query": part()}), tmp_path)
    harm(tmp_path)
    with pytest.raises(TuneError):
        peft.read(tmp_path)


def test_bfloat16_and_float16_are_read_as_float32(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    value = torch.tensor([[1.5, -2.25, 3e-3]])
    for kind in (torch.bfloat16, torch.float16, torch.float64):
        save_file({"x": value.to(kind)}, tmp_path / "x.safetensors")
        found = tensors.read(tmp_path / "x.safetensors")["x"]
        assert found.dtype == np.float32
        assert np.array_equal(found, value.to(kind).float().numpy())
    save_file({"x": torch.ones(2, dtype=torch.int8)}, tmp_path / "x.safetensors")
    with pytest.raises(TuneError, match="holds I8"):
        tensors.read(tmp_path / "x.safetensors")


def test_an_adapter_of_other_layers_names_both_shapes() -> None:
    adapter = Lora(parts={"query": part()})
    check_shapes(adapter, {"query": (3, 5), "key": (9, 9)}, where="here")
    with pytest.raises(TuneError, match="3×4 weights here, and 3×5 there"):
        check_shapes(adapter, {"query": (3, 4)}, where="here")
    with pytest.raises(TuneError, match="query is not in it"):
        check_shapes(adapter, {"key": (3, 5)}, where="here")


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_stock_peft_gives_each_layer_the_rank_and_the_update_that_were_written(
    tmp_path: Path,
) -> None:
    import torch
    from peft import PeftModel

    torch.manual_seed(0)

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.ModuleList([torch.nn.Linear(5, 3) for _ in range(12)])
            self.embed = torch.nn.Embedding(5, 3)

    base = Tiny()
    parts = {f"layer.{i}": part(1 + i % 4, scale=1 / (1 + i % 3)) for i in range(12)}
    parts["embed"] = part(3, scale=0.3, embedding=True)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    peft.write(Lora(parts=parts), tmp_path)
    merged = PeftModel.from_pretrained(base, str(tmp_path)).merge_and_unload()
    for name, one in parts.items():
        added = (merged.state_dict()[f"{name}.weight"] - before[f"{name}.weight"]).numpy()
        expected = one.scale * one.b @ one.a
        assert np.abs(added - (expected.T if one.embedding else expected)).max() <= 1e-6


def test_a_head_is_read_by_who_asks_for_it_and_refused_for_everybody_else(tmp_path: Path) -> None:
    head = {
        "dense.weight": np.ones((2, 3), np.float32),
        "out_proj.bias": np.zeros(1, np.float32),
    }
    peft.write(Lora(parts={"layer": part()}, task="SEQ_CLS", whole={"classifier": head}), tmp_path)
    found = peft.read(tmp_path, whole=True)
    assert found.whole.keys() == {"classifier"}
    assert found.whole["classifier"].keys() == head.keys()
    assert np.array_equal(found.whole["classifier"]["dense.weight"], head["dense.weight"])
    assert found.parts.keys() == {"layer"}
    told = json.loads((tmp_path / peft.CONFIG).read_text(encoding="utf-8"))
    assert told["modules_to_save"] == ["classifier"]
    with pytest.raises(RefusedAdapterError, match="modules_to_save"):
        peft.read(tmp_path)
    with pytest.raises(RefusedAdapterError, match="classifier was trained whole"):
        mlx.write(found, tmp_path / "mlx")
    assert not (tmp_path / "mlx").exists(), "nothing half-written"
