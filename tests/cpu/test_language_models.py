from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ragd_tune.backends import Limits, LoadRequest
from ragd_tune.errors import (
    DataError,
    DoesNotFitError,
    NotInstalledError,
    TrainingDivergedError,
    UsageError,
)
from ragd_tune.objectives import Rows
from ragd_tune.options import CAUSAL_LM, RUN, Value, options_of_tuning
from ragd_tune.plan import BaseModel, Event, TrainPlan, TrainResult
from ragd_tune.registry import Registry, discover
from ragd_tune.testing.samples import causal_rows
from ragd_tune.testing.tiny_lm import LM_ARCHITECTURES, tiny_lm

PROMPTS = ["anchor apple\nbell or boat?", "garden", "lamp leaf lemon letter island\ndust?"]


class Shop:
    """Plans over one tiny base, and what became of them."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder = folder
        self.base = base
        self.registry: Registry = discover()
        self.events: list[Event] = []
        self.count = 0

    def plan(self, tuning: str = "lora", **options: Value) -> TrainPlan:
        self.count += 1
        values = {one.name: one.default for one in (*RUN, *CAUSAL_LM, *options_of_tuning(tuning))}
        quick = {"max_steps": 6, "batch_size": 6, "learning_rate": 1e-2, "max_length": 64}
        return TrainPlan(
            kind="raft",
            objective="causal_lm",
            tuning=tuning,
            side="both",
            backend="cpu",
            device="cpu",
            base=BaseModel(name="tiny", path=self.base, fingerprint="f"),
            data_fingerprint="",
            rows_fingerprint="",
            out=self.folder / str(self.count) / "out",
            options={**values, **quick, "precision": "fp32", "lora_rank": 4, **options},
        )

    def train(self, plan: TrainPlan, rows: Rows | None = None) -> TrainResult:
        plan.out.parent.mkdir(exist_ok=True)
        found: TrainResult = self.registry.call(
            "cpu", "ragd_tune_train", plan=plan, rows=rows or causal_rows(), emit=self.events.append
        )
        return found

    def load(self, plan: TrainPlan, result: TrainResult | None = None, **more: Any) -> Any:
        request = LoadRequest(
            objective="causal_lm",
            format=result.format if result else "base",
            base=plan.base,
            device="cpu",
            adapter=plan.out if result else None,
            facts=result.facts if result else None,
            **more,
        )
        return self.registry.call("cpu", "ragd_tune_load_adapter", request=request)

    def say(self, model: Any, prompts: list[str], **limits: Any) -> list[str]:
        made = Limits(**{"max_tokens": 12, **limits})
        found: list[str] = self.registry.call(
            "cpu", "ragd_tune_generate", model=model, prompts=prompts, limits=made
        )
        return found


@pytest.fixture
def shop(tmp_path: Path, tiny: Path) -> Shop:
    return Shop(tmp_path, tiny)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lm(tmp_path_factory.mktemp("lm"))


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what trainings of this test made ready, as they make it ready."""
    from ragd_tune_cpu.lm import prepare, train

    kept: list[Any] = []

    def note(*arguments: Any) -> Any:
        kept.append(prepare.prepare(*arguments))
        return kept[-1]

    monkeypatch.setattr(train, "prepare", note)
    return kept


def losses(result: TrainResult) -> list[float]:
    return [loss for _, loss in result.losses]


@pytest.mark.parametrize("change", [{"packing": True}, {"micro_batch": 1}, {"micro_batch": 6}])
def test_neither_parts_nor_packing_change_what_is_learned(
    shop: Shop, change: dict[str, Any]
) -> None:
    whole, changed = shop.train(shop.plan()), shop.train(shop.plan(**change))
    assert losses(changed) == pytest.approx(losses(whole), abs=1e-5)
    found = zip(changed.dev_losses, whole.dev_losses, strict=True)
    assert all(one[1] == pytest.approx(two[1], abs=1e-5) for one, two in found)


def test_the_loss_is_that_of_the_completions_tokens_alone(shop: Shop) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = Rows(objective="causal_lm", train=[{"prompt": "bell?", "completion": "book book"}])
    told = shop.train(shop.plan("full", max_steps=1), rows).losses[0][1]
    tokenizer = AutoTokenizer.from_pretrained(shop.base)
    asked = "<|im_start|>user\nbell?<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(f"{asked}book book<|im_end|>", return_tensors="pt").input_ids
    labels = ids.clone()
    labels[:, : len(tokenizer(asked).input_ids)] = -100
    loss = AutoModelForCausalLM.from_pretrained(shop.base)(ids, labels=labels).loss
    assert told == pytest.approx(float(loss.detach()), abs=1e-5)


@pytest.mark.parametrize("architecture", LM_ARCHITECTURES[1:])
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_other_architectures_learn_and_load(tmp_path: Path, architecture: str, tuning: str) -> None:
    shop = Shop(tmp_path, tiny_lm(tmp_path, architecture, tied=architecture == "qwen3"))
    plan = shop.plan(tuning, max_steps=8)
    result = shop.train(plan)
    assert losses(result)[-1] < losses(result)[0]
    assert shop.say(shop.load(plan, result), PROMPTS) != shop.say(shop.load(plan), PROMPTS)


def logits(model: Any, base: Path) -> torch.Tensor:
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(base)("bell book candle", return_tensors="pt").input_ids
    with torch.inference_mode():
        found: torch.Tensor = model(ids).logits
    return found


@pytest.mark.parametrize("tuning", ["lora", "dora", "full", "qlora"])
def test_what_is_loaded_computes_what_was_trained(
    shop: Shop, tuning: str, prepared: list[Any]
) -> None:
    if tuning == "qlora":
        pytest.importorskip("bitsandbytes")
    plan = shop.plan(tuning)
    result = shop.train(plan)
    trained = prepared[-1].wrapped or prepared[-1].model
    loaded = shop.load(plan, result).model
    apart = (logits(trained, shop.base) - logits(loaded, shop.base)).abs().max()
    assert float(apart) < 1e-5
    bare = (logits(trained, shop.base) - logits(shop.load(plan).model, shop.base)).abs().max()
    assert float(bare) > 1e-3


def test_a_four_bit_adapter_says_so_and_is_merged_into_the_unquantised_base(shop: Shop) -> None:
    pytest.importorskip("bitsandbytes")
    plan = shop.plan("qlora")
    result = shop.train(plan)
    assert result.facts is not None
    assert result.facts.settings["quantised"] == "nf4-double"
    assert "bitsandbytes" in result.versions
    out = shop.folder / "exported"
    model = shop.load(plan, result)
    shop.registry.call("cpu", "ragd_tune_export", model=model, format="folder", out=out)
    config = json.loads((out / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "float32"
    from ragd_tune_cpu.lm.merging import merged

    exported = merged(out, "exported", None)
    by_hand = merged(shop.base, "tiny", plan.out)
    assert torch.equal(logits(exported, shop.base), logits(by_hand, shop.base))


def test_four_bits_without_bitsandbytes_name_the_extra(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragd_tune_cpu.lm.base.find_spec", lambda name: None)
    with pytest.raises(NotInstalledError) as refused:
        shop.train(shop.plan("qlora"))
    assert "qlora" in refused.value.mend


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda layer: setattr(layer, "compute_dtype", torch.float16), "float16"),
        (lambda layer: setattr(layer.weight, "quant_state", None), "not quantised"),
        (lambda layer: setattr(layer.weight.quant_state, "quant_type", "fp4"), "fp4"),
        (lambda layer: layer.weight.quant_state.state2.absmax.fill_(math.nan), "not all finite"),
    ],
)
def test_a_misconfigured_four_bit_base_is_refused_before_it_makes_nan(
    shop: Shop, spoil: Callable[[Any], object], why: str
) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    from ragd_tune_cpu.lm.adapter import check_four_bits
    from ragd_tune_cpu.lm.base import load_model

    model = load_model(
        shop.base, name="tiny", device="cpu", dtype=torch.float32, four_bits=torch.float32
    )
    check_four_bits(model, "tiny")
    layers = [one for one in model.modules() if isinstance(one, bitsandbytes.nn.Linear4bit)]
    spoil(layers[0])
    with pytest.raises(UsageError, match=why):
        check_four_bits(model, "tiny")


@pytest.mark.parametrize("tuning", ["lora", "full", "qlora"])
def test_a_base_that_is_quantised_already_is_refused(shop: Shop, tuning: str) -> None:
    base = shop.folder / "quantised"
    shutil.copytree(shop.base, base)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(
        json.dumps({**config, "quantization_config": {"quant_method": "gptq", "bits": 4}})
    )
    shop.base = base
    with pytest.raises(UsageError, match="gptq"):
        shop.train(shop.plan(tuning))


def test_a_loss_that_is_no_number_names_step_checkpoint_and_cause(
    shop: Shop, prepared: list[Any]
) -> None:
    plan = shop.plan("full", learning_rate=1e-1, checkpoint_steps=2, max_steps=200)
    calls: list[int] = []

    def emit(event: Event) -> None:
        if event.type == "step" and event.step == 5:
            calls.append(event.step)
            with torch.no_grad():
                next(prepared[-1].model.parameters()).fill_(math.inf)

    plan.out.parent.mkdir()
    with pytest.raises(TrainingDivergedError) as ended:
        shop.registry.call("cpu", "ragd_tune_train", plan=plan, rows=causal_rows(), emit=emit)
    assert calls == [5]
    for part in ("at step 6", "checkpoint is that of step 4", "learning rate of 0.1"):
        assert part in ended.value.message
    assert "--learning-rate 0.01" in ended.value.mend
    assert not plan.out.exists()


def test_rows_that_do_not_fit_are_an_error_or_told_of(shop: Shop) -> None:
    with pytest.raises(DataError, match="cannot be shortened"):
        shop.train(shop.plan(max_length=28))
    shop.train(shop.plan(max_length=28, too_long="drop"))
    told = [event.message for event in shop.events if event.type == "log"]
    assert any("rows are longer than max_length" in message for message in told)


def test_more_tokens_than_the_base_reads_are_refused(shop: Shop) -> None:
    with pytest.raises(UsageError) as refused:
        shop.train(shop.plan(max_length=1024))
    assert refused.value.mend == "--max-length 512"


def test_a_generation_stops_before_its_stop_text(shop: Shop) -> None:
    model = shop.load(shop.plan())
    whole = shop.say(model, PROMPTS[:1], max_tokens=24)[0]
    stop = whole[len(whole) // 2 :][:2]
    assert shop.say(model, PROMPTS[:1], max_tokens=24, stop=(stop,)) == [whole.partition(stop)[0]]


def test_a_temperature_draws_and_greedy_repeats(shop: Shop) -> None:
    model = shop.load(shop.plan())
    torch.manual_seed(0)
    one, two = (shop.say(model, PROMPTS, temperature=2.0) for _ in range(2))
    assert one != two
    assert shop.say(model, PROMPTS) == shop.say(model, PROMPTS)


def test_a_system_text_is_the_trained_one_unless_another_is_given(shop: Shop) -> None:
    rows = [{**row, "system": "bell book"} for row in causal_rows().train]
    plan = shop.plan(max_steps=2)
    result = shop.train(plan, Rows(objective="causal_lm", train=rows))
    assert result.facts is not None
    assert result.facts.prompts == {"system": "bell book"}
    model, bare = shop.load(plan, result), shop.load(plan)
    assert shop.say(model, PROMPTS) == shop.say(model, PROMPTS, system="bell book")
    assert shop.say(bare, PROMPTS) != shop.say(bare, PROMPTS, system="bell book")


def giant(folder: Path, shop: Shop, weights: int) -> Path:
    """Return the tiny base with weights that are only said to be there."""
    shutil.copytree(shop.base, folder)
    header = {"a": {"dtype": "F32", "shape": [weights], "data_offsets": [0, 4 * weights]}}
    raw = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw)
    return folder


def test_a_model_that_cannot_fit_is_refused_before_it_is_loaded(shop: Shop) -> None:
    shop.base = giant(shop.folder / "giant", shop, 10**15)
    with pytest.raises(DoesNotFitError) as refused:
        shop.registry.call("cpu", "ragd_tune_estimate", plan=shop.plan(), rows=causal_rows())
    assert "1000000.0 billion weights" in refused.value.message
    assert "billion weights (--tuning qlora)" in refused.value.mend


def test_a_model_that_is_too_slow_gets_an_honest_estimate_and_alternatives(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragd_tune_cpu.lm.size._memory", lambda device: 0)
    monkeypatch.setattr("ragd_tune_cpu.lm.size._speed", lambda plan: 5e10)
    shop.base = giant(shop.folder / "7b", shop, 7 * 10**9)
    plan = shop.plan(batch_size=32, max_steps=300)
    found = shop.registry.call("cpu", "ragd_tune_estimate", plan=plan, rows=causal_rows())
    assert found.measured_steps == 0
    assert found.seconds > 86_400
    for part in ("7.0 billion weights", "days", "0.5 billion weights takes", "--minutes", "GPU"):
        assert part in found.note
