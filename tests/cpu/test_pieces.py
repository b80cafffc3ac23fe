from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ragd_tune.objectives import Rows
from ragd_tune.testing.bench import snapshot
from ragd_tune_cpu import loss, pieces
from ragd_tune_cpu.prepare import prepare

QUESTIONS = ["anchor " * (1 + i) for i in range(4)]
ANSWERS = ["castle desert " * (1 + 5 * i % 13) for i in range(6)]
OTHERS = [ANSWERS[2], "harbor", ANSWERS[2], ANSWERS[0], "island " * 40]


@pytest.fixture(params=["bert", "xlm-roberta"])
def model(lab: Any, request: pytest.FixtureRequest) -> Any:
    return lab.load(lab.plan(lab.base(request.param))).model


def columns(model: Any) -> list[dict[str, Any]]:
    return [model.preprocess(texts, task="document") for texts in (QUESTIONS, ANSWERS, OTHERS)]


def test_joined_columns_have_the_vectors_of_each_alone(model: Any) -> None:
    made = pieces.embed_columns(model, columns(model))
    assert [len(vectors) for vectors in made] == [4, 6, 5]
    for vectors, features in zip(made, columns(model), strict=True):
        whole = model(dict(features))["sentence_embedding"]
        assert float((vectors - whole).abs().max().detach()) <= 1e-6


def test_a_passage_that_several_rows_bring_is_encoded_once(model: Any, passes: list[int]) -> None:
    pieces.embed_columns(model, columns(model))
    assert sum(passes) == len(QUESTIONS) + len({*ANSWERS, *OTHERS})


def test_activations_beyond_the_room_are_computed_again_with_the_same_gradients(
    model: Any, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model.train()  # with dropout: the second time must drop the same numbers
    kept, once = _gradients(model), sum(passes)
    monkeypatch.setattr(pieces, "KEPT", 0)
    passes.clear()
    again = _gradients(model)
    assert sum(passes) == 2 * once
    assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_a_step_in_16_bits_makes_its_copies_of_the_weights_once(
    lab: Any, monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    monkeypatch.setattr(pieces, "TOKENS", 64)
    plan = lab.plan(lab.base(), tuning=tuning, precision="bf16")
    trainee = prepare(plan, lab.rows)
    model: Any = trainee.model
    made = CastCounter()
    before = {name: (p.dtype, p.clone()) for name, p in model.named_parameters()}
    with loss.precision(model, plan), made:
        first = pieces.embed_columns(model, columns(model))
    assert len(pieces.cut(columns(model)[2])) > 1, "several pieces are what this is about"
    copies = [made.of[p.data_ptr()] for p in model.parameters() if p.data_ptr() in made.of]
    assert copies
    assert set(copies) == {1}
    for name, parameter in model.named_parameters():
        assert parameter.dtype == before[name][0]
        assert torch.equal(parameter, before[name][1])
    with torch.no_grad():
        for parameter in trainee.adamw.param_groups[0]["params"]:
            parameter.add_(0.1)
    with loss.precision(model, plan):
        again = pieces.embed_columns(model, columns(model))
    assert not torch.equal(first[0], again[0]), "the copies are of the weights as they are now"


class CastCounter(TorchDispatchMode):
    """How often each tensor was copied to 16 bits, by where it lies."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.of: Counter[int] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and kwargs.get("dtype") is torch.bfloat16:
            self.of[args[0].data_ptr()] += 1
        return func(*args, **kwargs)


def _gradients(model: Any) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model.zero_grad()
    queries, *passages = pieces.embed_columns(model, columns(model))
    (queries @ torch.cat(passages).T).square().sum().backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_what_is_beyond_the_training_length_teaches_nothing_and_is_read_by_the_adapter(
    lab: Any,
) -> None:
    base = lab.base()
    plan = lab.plan(base, training_length=6)
    result = lab.train(plan)
    assert result.facts.max_length == 32
    told = lab.rows
    lab.rows = Rows(
        objective=told.objective,
        train=[{**row, "positive": f"{row['positive']} island harbor"} for row in told.train],
        dev=told.dev,
    )
    assert all(len(str(row["positive"]).split()) >= 4 for row in told.train)
    other = replace(plan, out=lab.plan(base).out)
    lab.train(other)
    assert snapshot(other.out) == snapshot(plan.out)
    whole = lab.plan(base)
    lab.train(whole)
    assert snapshot(whole.out) != snapshot(plan.out)
