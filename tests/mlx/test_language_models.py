"""Causal language models on MLX, against PyTorch, PEFT and mlx-lm themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.backends import Limits, LoadRequest
from ragd_tune.errors import BaseMismatchError, DataError, UsageError
from ragd_tune.interchange import mlx, peft, tensors
from ragd_tune.objectives import CAUSAL_LM_OBJECTIVE, Rows
from ragd_tune.options import RUN, Value, options_of_tuning
from ragd_tune.plan import BaseModel, TrainPlan
from ragd_tune.registry import discover
from ragd_tune.testing.samples import causal_rows
from ragd_tune.testing.tiny_lm import LM_ARCHITECTURES, tiny_lm

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

WORDS = ("lamp", "lake", "leaf", "lemon", "hill", "honey", "horse", "gold")
ROWS = Rows(
    objective="causal_lm",
    train=[{"prompt": f"garden {word} harbour?", "completion": word} for word in WORDS],
    dev=[{"prompt": "garden gold?", "completion": "gold"}] * 2,
)
IDS = list(range(3, 40))
LORA: dict[str, Value] = {"learning_rate": 1e-2, "lora_rank": 4}


def plan_of(base: Path, folder: Path, tuning: str = "lora", **options: Value) -> TrainPlan:
    every = (*RUN, *CAUSAL_LM_OBJECTIVE.options, *options_of_tuning(tuning))
    values: dict[str, Value] = {option.name: option.default for option in every}
    values |= {"max_steps": 6, "batch_size": 4, "max_length": 64, "precision": "fp32"}
    values |= {"learning_rate": 1e-3} if tuning == "full" else LORA
    return TrainPlan(
        kind="raft",
        objective="causal_lm",
        tuning=tuning,
        side="both",
        backend="mlx",
        device="cpu",
        base=BaseModel(name="tiny", path=base, fingerprint="f" * 64),
        data_fingerprint="d",
        rows_fingerprint=ROWS.fingerprint,
        out=folder / f"{tuning}-{len(list(folder.iterdir()))}" / "out",
        options=values | options,
    )


def train(plan: TrainPlan, rows: Rows = ROWS) -> Any:
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    return discover().call("mlx", "ragd_tune_train", plan=plan, rows=rows, emit=lambda event: None)


def load(plan: TrainPlan, result: Any = None, *, backend: str = "mlx", **changes: Any) -> Any:
    fields = {
        "objective": "causal_lm",
        "format": result.format if result else "base",
        "base": plan.base,
        "device": "cpu",
        "adapter": plan.out if result else None,
        "facts": result.facts if result else None,
    }
    request = LoadRequest(**{**fields, **changes})
    return discover().call(backend, "ragd_tune_load_adapter", request=request)


def torch_logits(base: Path, adapter: Path | None = None, weights: Any = None) -> Any:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    if weights is not None:
        model.load_state_dict(weights, strict=False)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    with torch.no_grad():
        return model.eval()(torch.tensor([IDS])).logits[0].numpy()


def differ(one: Any, two: Any) -> float:
    return float(np.abs(one - two).max())


@pytest.mark.parametrize("architecture", LM_ARCHITECTURES)
@pytest.mark.parametrize("tied", [False, True])
def test_a_bare_base_has_the_logits_that_transformers_has(
    tmp_path: Path, architecture: str, tied: bool
) -> None:
    base = tiny_lm(tmp_path, architecture, tied=tied)
    assert differ(load(plan_of(base, tmp_path)).logits(IDS), torch_logits(base)) <= 1e-4


@pytest.mark.parametrize("tuning", ["lora", "dora"])
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_peft_gives_what_mlx_trained_the_same_logits(
    tmp_path: Path, architecture: str, tuning: str
) -> None:
    base = tiny_lm(tmp_path, architecture)
    plan = plan_of(base, tmp_path, tuning)
    mine = load(plan, train(plan)).logits(IDS)
    assert differ(mine, torch_logits(base, plan.out)) <= 1e-4
    assert differ(mine, torch_logits(base)) > 0.1


def test_mlx_gives_what_peft_made_the_same_logits_with_ranks_scales_and_tables(
    tmp_path: Path,
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = tiny_lm(tmp_path)
    torch.manual_seed(0)
    kinds: list[dict[str, Any]] = [
        {"use_rslora": True, "target_modules": ["q_proj", "lm_head", "embed_tokens"]},
        {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"layers.0.mlp.up_proj": 3}},
        {"use_dora": True, "target_modules": ["k_proj", "down_proj"]},
    ]
    for number, settings in enumerate(kinds):
        out = tmp_path / f"peft-{number}"
        given: dict[str, Any] = {"target_modules": "all-linear", "init_lora_weights": False}
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
        config = LoraConfig(r=4, lora_alpha=6, task_type="CAUSAL_LM", **{**given, **settings})
        get_peft_model(model, config).save_pretrained(str(out), save_embedding_layers=False)
        plan = plan_of(base, tmp_path)
        mine = load(plan, format="peft", adapter=out).logits(IDS)
        theirs = torch_logits(base, out)
        assert differ(mine, theirs) <= 1e-4, settings
        assert differ(mine, torch_logits(base)) > 0.1
        mlx.write(peft.read(out), tmp_path / f"mlx-{number}")
        assert differ(lm_logits(base, tmp_path / f"mlx-{number}"), theirs) <= 1e-4, settings


def lm_logits(base: Path, adapter: Path) -> Any:
    """Return the logits of mlx-lm's own loader."""
    import mlx.core as mx
    from mlx_lm import load as load_lm

    mx.disable_compile()
    try:
        model = load_lm(str(base), adapter_path=str(adapter))[0]
        return np.array(model(mx.array([IDS]))[0].astype(mx.float32))
    finally:
        mx.enable_compile()


def test_what_is_tuned_whole_is_a_folder_that_transformers_loads(tmp_path: Path) -> None:
    base = tiny_lm(tmp_path, "qwen2", tied=True)
    plan = plan_of(base, tmp_path, "full")
    result = train(plan)
    mine = load(plan, result).logits(IDS)
    assert result.format == "full"
    assert differ(mine, torch_logits(plan.out)) <= 1e-4
    assert differ(mine, torch_logits(base)) > 0.01


def test_an_adapter_on_four_bits_fits_those_numbers_and_no_others(tmp_path: Path) -> None:
    base = tiny_lm(tmp_path, hidden=64)
    plan = plan_of(base, tmp_path, "qlora")
    result = train(plan)
    loaded = load(plan, result)
    mine = loaded.logits(IDS)
    numbers = dequantised(plan)
    assert differ(mine, torch_logits(base, plan.out, numbers)) <= 1e-4
    assert differ(mine, torch_logits(base, plan.out)) > 0.01, "on the base itself it is far off"
    told = peft.read(plan.out).quantised
    assert told == {
        "quantised": "mlx-affine-4-64",
        "quantised_base": result.facts.settings["quantised_base"],
    }
    other = BaseModel(name="other", path=tiny_lm(tmp_path, hidden=64, seed=1), fingerprint="0" * 64)
    with pytest.raises(BaseMismatchError, match="come out otherwise here") as refused:
        load(plan, result, base=other)
    assert "--tuning lora" in refused.value.mend
    assert differ(load(plan, result, facts=None).logits(IDS), mine) == 0, "its own note is enough"


def test_other_backends_refuse_four_bits_of_mlx_and_name_what_writes_the_right_base(
    tmp_path: Path,
) -> None:
    base = tiny_lm(tmp_path, hidden=64)
    plan = plan_of(base, tmp_path, "qlora")
    result = train(plan)
    for facts in (result.facts, None):
        with pytest.raises(BaseMismatchError) as refused:
            load(plan, result, backend="cpu", facts=facts)
        assert "tiny in four bits (mlx-affine-4-64, with the" in refused.value.message
        assert result.facts.settings["quantised_base"][:12] in refused.value.message
        assert "the backend cpu makes nf4-double" in refused.value.message
        assert "--format folder writes it as a whole model" in refused.value.mend
    loaded, out = load(plan, result), tmp_path / "whole"
    discover().call("mlx", "ragd_tune_export", model=loaded, format="folder", out=out)
    assert differ(torch_logits(out), loaded.logits(IDS)) <= 1e-4, "what the message names works"
    settings = {**result.facts.settings, "quantised": "nf4-double"}
    with pytest.raises(BaseMismatchError, match=r"\(nf4-double, .*\), and the backend mlx makes"):
        load(plan, result, facts=replace(result.facts, settings=settings))


def dequantised(plan: TrainPlan) -> dict[str, Any]:
    """Return the weights that the four bits of the plan's base stand for."""
    import mlx.core as mx
    import torch

    from mlx import nn
    from ragd_tune_mlx.lm import base

    model = base.load_model(plan.base.path, "tiny", four_bits=True)
    return {
        f"{name}.weight": torch.from_numpy(
            np.array(mx.dequantize(one.weight, one.scales, one.biases, group_size=64, bits=4))
        )
        for name, one in model.named_modules()
        if isinstance(one, nn.QuantizedLinear)
    }


def test_greedy_answers_are_those_of_transformers(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = tiny_lm(tmp_path, chat=False)
    prompts = ["garden lamp", "harbour", "lemon letter " * 20]
    limits = Limits(max_tokens=12)
    found = discover().call(
        "mlx",
        "ragd_tune_generate",
        model=load(plan_of(base, tmp_path)),
        prompts=prompts,
        limits=limits,
    )
    tokenizer = AutoTokenizer.from_pretrained(str(base))
    model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    for prompt, answer in zip(prompts, found, strict=True):
        given = tokenizer(prompt, return_tensors="pt")
        said = model.generate(**given, max_new_tokens=12, do_sample=False)
        text = tokenizer.decode(said[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
        assert answer == text
    stop = found[0][2:4]
    cut = Limits(max_tokens=12, stop=(stop,))
    model_ = load(plan_of(base, tmp_path))
    assert model_.generate(prompts[:1], cut) == [found[0][: found[0].index(stop)]]


def test_parts_of_a_batch_change_memory_and_not_the_result(tmp_path: Path) -> None:
    base = tiny_lm(tmp_path)
    losses = []
    for size in (1, 3, 4):
        result = train(plan_of(base, tmp_path, micro_batch=size))
        losses.append([loss for _, loss in result.losses])
    assert differ(np.array(losses[0]), np.array(losses[2])) <= 1e-4
    assert differ(np.array(losses[1]), np.array(losses[2])) <= 1e-4


def test_adapters_of_one_base_share_its_weights_and_leave_them(tmp_path: Path) -> None:
    base = tiny_lm(tmp_path)
    plan = plan_of(base, tmp_path)
    result = train(plan)
    bare = load(plan)
    before = bare.logits(IDS)
    tuned = load(plan, result)
    first = tuned.logits(IDS)
    assert differ(first, before) > 0.1
    assert np.array_equal(bare.logits(IDS), before)
    tuned.close()
    assert np.array_equal(bare.logits(IDS), before)
    assert np.array_equal(load(plan, result).logits(IDS), first)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"max_length": 1000}, UsageError, "reads 512 tokens at most"),
        ({"max_length": 8}, DataError, "cannot be shortened"),
        ({"packing": True}, UsageError, "does not pack"),
        ({"lora_targets": ("query",)}, UsageError, "no linear layer is called query"),
    ],
)
def test_what_would_end_in_nothing_learned_is_refused_before_it_starts(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], told: str
) -> None:
    base = tiny_lm(tmp_path)
    with pytest.raises(error, match=told):
        train(plan_of(base, tmp_path, **options))


def test_a_base_too_narrow_for_four_bits_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no layer of it could be held in four bits"):
        train(plan_of(tiny_lm(tmp_path, hidden=16), tmp_path, "qlora"))


def test_an_architecture_that_mlx_lm_does_not_know_names_the_backend_that_may(
    tmp_path: Path,
) -> None:
    import json

    base = tiny_lm(tmp_path)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (base / "config.json").write_text(json.dumps({**config, "model_type": "brand_new"}))
    with pytest.raises(UsageError, match="mlx-lm does not load it") as refused:
        load(plan_of(base, tmp_path))
    assert "--backend cpu" in refused.value.mend


def test_an_exported_folder_has_the_adapter_in_its_weights(tmp_path: Path) -> None:
    base = tiny_lm(tmp_path)
    for tuning in ("lora", "dora"):
        plan = plan_of(base, tmp_path, tuning)
        loaded = load(plan, train(plan))
        out = tmp_path / f"exported-{tuning}"
        discover().call("mlx", "ragd_tune_export", model=loaded, format="folder", out=out)
        assert differ(torch_logits(out), loaded.logits(IDS)) <= 1e-4
        names = tensors.read(out / "model.safetensors").keys()
        assert not any("lora" in name for name in names)


@pytest.mark.parametrize(
    ("tuning", "options"),
    [
        ("lora", {"micro_batch": 3}),
        ("dora", {"lora_targets": ("q_proj", "down_proj"), "schedule": "cosine", "warmup": 0.2}),
        ("full", {"chat_template": "no", "learning_rate": 1e-3}),
    ],
    ids=["lora", "dora", "full"],
)
def test_each_of_twenty_steps_has_the_loss_of_cpu_and_so_has_what_was_held_out(
    pair: Any, cell_of: Any, tmp_path: Path, tuning: str, options: dict[str, Any]
) -> None:
    given = {"learning_rate": 5e-3, "max_length": 96, **options}
    benches = pair(tiny_lm(tmp_path), rows=causal_rows())
    runs = benches.train(cell_of(tuning, "causal_lm"), **given)
    losses = [np.array([loss for _, loss in run.losses]) for run in runs]
    assert len(losses[0]) == 20
    assert differ(*losses) <= 1e-3
    held_out = [np.array(run.result.dev_losses) for run in runs]
    assert len(held_out[0]) > 0
    assert differ(*held_out) <= 1e-3
    assert runs[0].result.facts == runs[1].result.facts
    assert losses[0][:4].mean() - losses[0][-4:].mean() > 20 * 1e-3, "nothing was learned"
