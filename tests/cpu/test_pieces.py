from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from ragd_tune.objectives import Rows
from ragd_tune.testing.bench import snapshot
from ragd_tune_cpu import pieces

QUESTIONS = ["anchor " * (1 + i) for i in range(4)]
ANSWERS = ["castle desert " * (1 + 5 * i % 13) for i in range(6)]
OTHERS = [ANSWERS[2], "harbor", ANSWERS[2], ANSWERS[0], "island " * 40]


@pytest.fixture(params=["bert", "xlm-roberta"])
def model(lab: Any, request: pytest.FixtureRequest) -> Any:
    return lab.load(lab.plan(lab.base(request.param))).model


def columns(model: Any) -> list[dict[str, Any]]:
    return [model.preprocess(texts, task="document") for texts in (QUESTIONS, ANSWERS, OTHERS)]


@pytest.fixture
def read(model: Any) -> Iterator[list[int]]:
    """The number of texts of every call of the encoder."""
    calls: list[int] = []
    encoder = model[0].auto_model
    plain = encoder.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        calls.append(len(kwargs["input_ids"]))
        return plain(*args, **kwargs)

    encoder.forward = forward
    yield calls
    del encoder.forward


def test_joined_columns_have_the_vectors_of_each_alone(model: Any) -> None:
    made = pieces.embed_columns(model, columns(model))
    assert [len(vectors) for vectors in made] == [4, 6, 5]
    for vectors, features in zip(made, columns(model), strict=True):
        whole = model(dict(features))["sentence_embedding"]
        assert float((vectors - whole).abs().max().detach()) <= 1e-6


def test_a_passage_that_several_rows_bring_is_encoded_once(model: Any, read: list[int]) -> None:
    pieces.embed_columns(model, columns(model))
    assert sum(read) == len(QUESTIONS) + len({*ANSWERS, *OTHERS})


def test_activations_beyond_the_room_are_computed_again_with_the_same_gradients(
    model: Any, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model.train()  # with dropout: the second time must drop the same numbers
    kept, once = _gradients(model), sum(read)
    monkeypatch.setattr(pieces, "KEPT", 0)
    read.clear()
    again = _gradients(model)
    assert sum(read) == 2 * once
    assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))


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
