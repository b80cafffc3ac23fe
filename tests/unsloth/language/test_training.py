"""Language models through Unsloth's own CPU backend: batches, files and stops as in the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ragd_tune.backends import Limits, LoadRequest
from ragd_tune.errors import TuneError, UsageError
from ragd_tune.objectives import Rows, frame_of
from ragd_tune.plan import Event, Stop, TrainPlan, TrainResult
from ragd_tune.testing.samples import causal_rows
from ragd_tune.testing.tiny_lm import tiny_lm
from ragd_tune.training.course import Course
from ragd_tune_unsloth import plugin
from ragd_tune_unsloth.tokens import tokenizer_of

MakePlan = Callable[..., TrainPlan]
ROWS = causal_rows()
LENGTH = 128


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # bitsandbytes takes no layers narrower than 64
    return tiny_lm(tmp_path_factory.mktemp("base"), hidden=64)


@pytest.fixture
def plan(make_plan: MakePlan, base: Path) -> MakePlan:
    def make(tuning: str = "lora", **options: Any) -> TrainPlan:
        return make_plan(base, "causal_lm", tuning, max_length=LENGTH, **options)

    return make


def train(
    plan: TrainPlan, rows: Rows = ROWS, emit: Callable[[Event], None] = lambda event: None
) -> TrainResult:
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    return plugin.ragd_tune_train(plan=plan, rows=rows, emit=emit)


def weights(plan: TrainPlan) -> dict[str, torch.Tensor]:
    return load_file(plan.out / "adapter_model.safetensors")


def load(plan: TrainPlan, result: TrainResult | None) -> Any:
    request = LoadRequest(
        objective="causal_lm",
        format="peft" if result else "base",
        base=plan.base,
        device="cpu",
        adapter=plan.out if result else None,
        facts=result.facts if result else None,
    )
    return plugin.ragd_tune_load_adapter(request=request)


def plain_loss(model: Any, plan: TrainPlan, batch: list[int]) -> float:
    """Return the mean loss over a batch's answers, one row at a time, by plain PyTorch."""
    frame = frame_of(tokenizer_of(plan.base), "auto")
    total, count = 0.0, 0
    for index in batch:
        sample = frame.sample(ROWS.train[index], max_length=LENGTH)
        ids = torch.tensor([list(sample.ids)])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0, sample.start - 1 : -1]
        answer = ids[0, sample.start :]
        total += float(torch.nn.functional.cross_entropy(logits, answer, reduction="sum"))
        count += sample.learnt
    return total / count


@pytest.mark.parametrize("tuning", ["lora", "qlora"])
def test_the_loss_is_the_mean_over_the_answers_and_what_is_loaded_is_what_was_trained(
    plan: MakePlan, tuning: str
) -> None:
    steady = {"learning_rate": 1e-2, "schedule": "constant", "warmup": 0.0}
    one = plan(tuning, max_steps=3, micro_batch=3, **steady)
    result = train(one)
    after = train(plan(tuning, max_steps=4, micro_batch=2, **steady)).losses
    # Four bits are multiplied by other kernels where a part has another shape
    close = 1e-3 if tuning == "lora" else 1e-2
    assert [x for _, x in after[:3]] == pytest.approx([x for _, x in result.losses], abs=close)
    batches = list(Course.of(one, ROWS.train).between(0, 4))
    tuned = plain_loss(load(one, result)._model, one, batches[3])
    assert tuned == pytest.approx(after[3][1], abs=close)
    if tuning == "lora":
        bare = plain_loss(load(one, None)._model, one, batches[0])
        assert bare == pytest.approx(result.losses[0][1], abs=close)


@pytest.mark.parametrize("tuning", ["lora", "qlora"])
def test_a_stopped_run_ends_like_an_undisturbed_one(plan: MakePlan, tuning: str) -> None:
    whole, stopped = plan(tuning, max_steps=4), plan(tuning, max_steps=4)
    train(whole)

    def stop(event: Event) -> None:
        if event.type == "step" and event.step == 2:
            raise Stop

    with pytest.raises(Stop):
        train(stopped, emit=stop)
    assert not stopped.out.exists()
    result = train(stopped)
    assert result.resumed_from == 2
    one, two = weights(whole), weights(stopped)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_it_learns_and_generates_up_to_a_stop(plan: MakePlan) -> None:
    rows = Rows(objective="causal_lm", train=[{"prompt": "apple?", "completion": "bell book"}] * 8)
    one = plan(max_steps=30, learning_rate=1e-2, schedule="constant", lora_rank=16)
    result = train(one, rows)
    assert result.losses[-1][1] < result.losses[0][1] / 4
    tuned, ask = load(one, result), plugin.ragd_tune_generate
    first, second = ask(model=tuned, prompts=["apple?"] * 2, limits=Limits(max_tokens=6))
    assert first == second != ""
    bare = ask(model=load(one, None), prompts=["apple?"], limits=Limits(max_tokens=6))
    assert bare != [first]
    end = first[len(first) // 2 :]
    (cut,) = ask(model=tuned, prompts=["apple?"], limits=Limits(max_tokens=6, stop=(end,)))
    assert cut == first[: first.find(end)]


def test_the_adapter_is_pefts_and_names_no_place(plan: MakePlan) -> None:
    one = plan(max_steps=1)
    train(one)
    text = (one.out / "adapter_config.json").read_text(encoding="utf-8")
    assert str(one.base.path) not in text
    assert '"task_type": "CAUSAL_LM"' in text
    assert {path.name for path in one.out.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_an_adapter_of_four_bits_says_so(plan: MakePlan) -> None:
    result = train(plan("qlora", max_steps=1))
    assert result.facts is not None
    assert result.facts.settings["quantised"] == "nf4-double"
    assert result.facts.settings["computed_in"] == "float32"


def test_an_estimate_is_measured(plan: MakePlan) -> None:
    made = plugin.ragd_tune_estimate(plan=plan(max_steps=5), rows=ROWS)
    assert made.steps == 5
    assert made.measured_steps >= 3
    assert made.seconds > 0


def test_packing_is_refused_with_the_way_that_works(plan: MakePlan) -> None:
    with pytest.raises(UsageError, match="does not pack") as caught:
        train(plan(packing=True))
    assert "--backend cpu" in caught.value.mend


def test_a_base_that_was_not_quantised_after_all_is_refused(
    plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Unsloth loads in 16 bits, and only prints so, where bitsandbytes cannot take a layer
    from ragd_tune_unsloth import language

    monkeypatch.setattr(language, "_is_4bit", lambda model: False)
    with pytest.raises(TuneError, match="without quantising"):
        train(plan("qlora"))


def test_no_rows_are_a_clear_error(plan: MakePlan) -> None:
    with pytest.raises(TuneError, match="rows"):
        train(plan(), Rows(objective="causal_lm", train=[]))
