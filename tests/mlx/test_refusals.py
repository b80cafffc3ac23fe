from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.errors import (
    DoesNotFitError,
    NotInstalledError,
    TrainingDivergedError,
    TuneError,
    UsageError,
)
from ragd_tune.testing.tiny import tiny_encoder


def change(path: Path, **values: object) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**raw, **values}), encoding="utf-8")


def load(pair: Any, place: Path) -> Any:
    return pair(place).mlx.load_base("contrastive", "cpu")


@pytest.mark.parametrize("architecture", ["mpnet", "nomic_bert"])
def test_an_architecture_that_is_not_of_the_family_names_the_backend_that_has_it(
    pair: Any, architecture: str
) -> None:
    with pytest.raises(UsageError, match=f"does not compute the architecture {architecture}") as no:
        pair(architecture=architecture).mlx.load_base("contrastive", "cpu")
    assert "--backend cpu" in no.value.mend


@pytest.mark.parametrize(
    ("setting", "value"),
    [("position_embedding_type", "relative_key"), ("hidden_act", "silu"), ("is_decoder", True)],
)
def test_a_setting_that_would_be_computed_wrongly_is_refused(
    pair: Any, tmp_path: Path, setting: str, value: object
) -> None:
    place = tiny_encoder(tmp_path)
    change(place / "config.json", **{setting: value})
    with pytest.raises(UsageError, match="does not compute"):
        load(pair, place)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"pooling_mode": "lasttoken"}, "pool by lasttoken"),
        ({"pooling_mode": ["mean", "cls"]}, r"pool by mean \+ cls"),
        ({"pooling_mode": "mean", "include_prompt": False}, "pool by mean without the prompt"),
    ],
)
def test_a_pooling_that_is_not_there_is_named(
    pair: Any, tmp_path: Path, setting: dict[str, object], told: str
) -> None:
    place = tiny_encoder(tmp_path)
    (place / "1_Pooling" / "config.json").write_text(json.dumps(setting), encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        load(pair, place)


def test_a_module_that_is_not_computed_is_named(pair: Any, tmp_path: Path) -> None:
    place = tiny_encoder(tmp_path)
    modules = json.loads((place / "modules.json").read_text(encoding="utf-8"))
    modules[1]["type"] = "sentence_transformers.models.WordWeights"
    (place / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(UsageError, match="this one is Transformer, WordWeights, Normalize"):
        load(pair, place)


def test_weights_that_are_only_pickled_are_refused(pair: Any, tmp_path: Path) -> None:
    place = tiny_encoder(tmp_path)
    (place / "model.safetensors").rename(place / "pytorch_model.bin")
    with pytest.raises(TuneError, match="no weights in safetensors"):
        load(pair, place)


def test_weights_that_are_cut_off_are_named(pair: Any, tmp_path: Path) -> None:
    place = tiny_encoder(tmp_path)
    whole = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TuneError, match=r"model\.safetensors: cannot be read"):
        load(pair, place)


def test_weights_of_another_shape_are_named(pair: Any, tmp_path: Path) -> None:
    place = tiny_encoder(tmp_path)
    change(place / "config.json", intermediate_size=128)
    with pytest.raises(TuneError, match=r"intermediate\.dense\.bias is 64, and .* 128"):
        load(pair, place)


def test_a_folder_without_a_model_is_named(pair: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotInstalledError, match="holds no model"):
        load(pair, tmp_path / "empty")


def test_a_gpu_that_is_not_there_is_a_clear_error(pair: Any) -> None:
    with pytest.raises(UsageError, match="no GPU for the device mps"):
        pair().mlx.load_base("contrastive", "mps")


def test_an_adapter_of_another_base_is_refused(pair: Any, cell_of: Any) -> None:
    run = pair().mlx.fresh(cell_of("lora"), max_steps=1)
    with pytest.raises(TuneError, match="does not fit this base"):
        pair(architecture="bert", seed=1).mlx.load(run, base=deeper(pair))


def deeper(pair: Any) -> Any:
    """Return a base without the layers that an adapter of a BERT names."""
    base = pair(architecture="bert").mlx.base("contrastive")
    from safetensors.numpy import load_file, save_file

    change(base.path / "config.json", num_hidden_layers=1)
    kept = load_file(base.path / "model.safetensors")
    kept = {name: value for name, value in kept.items() if "layer.1" not in name}
    save_file(kept, base.path / "model.safetensors")
    return base


def test_a_loss_that_is_no_number_names_the_step_and_the_learning_rate(
    pair: Any, cell_of: Any
) -> None:
    bench = pair().mlx
    rows = bench.author.rows("contrastive")
    plan = bench.plan(cell_of("full"), rows, learning_rate=1e37, max_grad_norm=0.0)
    with pytest.raises(TrainingDivergedError, match=r"at step \d+.*learning rate of 1e\+37"):
        bench.train(plan, rows)
    assert not plan.out.exists()


def test_running_out_of_memory_says_what_would_fit(
    pair: Any, cell_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragd_tune_mlx import trainer

    def greedy(*_: object) -> None:
        raise RuntimeError("[malloc] Unable to allocate 1099511627776 bytes.")

    monkeypatch.setattr(trainer, "clip_grad_norm", greedy)
    with pytest.raises(DoesNotFitError, match="batches of 4 rows") as refused:
        pair().mlx.fresh(cell_of("lora"))
    assert "--batch-size 2" in refused.value.mend


def test_a_matryoshka_dimension_larger_than_the_vectors_is_refused(pair: Any, cell_of: Any) -> None:
    with pytest.raises(UsageError, match="64 is more than the 32"):
        pair().mlx.fresh(cell_of("lora"), matryoshka_dims=(64,))


@pytest.mark.parametrize("dimension", [33, -1])
def test_a_dimension_that_the_vectors_do_not_have_is_refused(pair: Any, dimension: int) -> None:
    with pytest.raises(UsageError, match=f"dimension {dimension}"):
        pair().mlx.load_base("contrastive", "cpu", dimension=dimension)


def test_a_closed_model_says_so(pair: Any) -> None:
    loaded = pair().mlx.load_base("contrastive", "cpu")
    loaded.model.close()
    with pytest.raises(TuneError, match="closed"):
        loaded.embed(["anchor"])


def test_bfloat16_is_another_rounding_and_float32_is_kept_in_what_is_saved(
    pair: Any, cell_of: Any
) -> None:
    bench = pair().mlx
    runs = [bench.fresh(cell_of("lora"), precision=one) for one in ("fp32", "bf16", "auto")]
    losses = [np.array([loss for _, loss in run.losses]) for run in runs]
    assert 0 < np.abs(losses[0] - losses[1]).max() < 0.05
    assert np.array_equal(losses[0], losses[2])
    assert bench.load(runs[1]).embed(["anchor"]).dtype == np.float32
