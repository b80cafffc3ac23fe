from __future__ import annotations

from pathlib import Path

import pytest

from ragd_tune.backends import LoadRequest
from ragd_tune.errors import UsageError
from ragd_tune.interchange.quantised import nf4
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.plan import BaseModel, ModelFacts, TrainPlan
from ragd_tune.training import facts

BASE = BaseModel(name="tiny", path=Path("tiny"), fingerprint="f" * 64)


def plan(tuning: str = "lora", **options: Value) -> TrainPlan:
    return TrainPlan(
        kind="any",
        objective="any",
        tuning=tuning,
        side="both",
        backend="any",
        device="cpu",
        base=BASE,
        data_fingerprint="d",
        rows_fingerprint="r",
        out=Path("out"),
        options=options,
    )


def test_the_smallest_limit_counts_and_a_tokenizer_without_one_has_none() -> None:
    assert facts.limit(512, None, 10**30) == 512
    assert facts.limit(None, 10**30) == facts.limit(0) == facts.NO_LIMIT


def test_a_documents_prompt_may_have_another_name_and_an_empty_one_hides_none() -> None:
    assert facts.by_role({"document": "", "passage": "p: "}, None) == {"document": "p: "}
    assert facts.by_role({"query": "q: ", "all": "a: "}, "all") == {
        "query": "q: ",
        "document": "a: ",
    }
    assert facts.by_role({"document": ""}, "no such prompt") == {}


def test_dimensions_fall_and_end_with_the_full_one_first() -> None:
    assert facts.dimensions(plan(matryoshka_dims=()), 8) == ()
    assert facts.dimensions(plan(matryoshka_dims=(2, 4)), 8) == (8, 4, 2)
    with pytest.raises(UsageError, match="16 is more than the 8 dimensions"):
        facts.dimensions(plan(matryoshka_dims=(16,)), 8)


@pytest.mark.parametrize("tuning", ["lora", "qlora"])
def test_a_language_model_has_its_rows_system_text_and_its_four_bits(tuning: str) -> None:
    def made(*systems: str) -> ModelFacts:
        rows: list[dict[str, object]] = [
            {"prompt": "p", "completion": "c", "system": text} for text in systems
        ]
        return facts.of_language(
            plan(tuning, max_length=32),
            Rows(objective="causal_lm", train=rows),
            max_length=64,
            chat=True,
            bits=nf4(tuning, "bfloat16"),
        )

    assert made("be short", "be short").prompts == {"system": "be short"}
    assert made("be short", "").prompts == made("", "").prompts == {}
    settings = made("").settings
    assert (settings["chat_template"], settings["trained_length"]) == (True, 32)
    assert settings.get("quantised") == ("nf4-double" if tuning == "qlora" else None)
    assert settings.get("computed_in") == ("bfloat16" if tuning == "qlora" else None)


def request(*, max_length: int | None = None, dimension: int | None = None) -> LoadRequest:
    return LoadRequest(
        objective="contrastive",
        format="base",
        base=BASE,
        device="cpu",
        max_length=max_length,
        dimension=dimension,
    )


def test_a_request_makes_a_model_shorter_and_narrower_and_never_longer_or_wider() -> None:
    own = ModelFacts(dimension=8, max_length=64)
    assert facts.fitted(own, request()) == (own, 8)
    made, dimension = facts.fitted(own, request(max_length=16, dimension=4))
    assert (made.max_length, made.dimension, dimension) == (16, 8, 4)
    assert facts.fitted(own, request(max_length=128))[0].max_length == 64
    with pytest.raises(UsageError, match="9 cannot be had of vectors with 8"):
        facts.fitted(own, request(dimension=9))


def test_the_loss_at_each_dimension_counts_in_proportion_to_it() -> None:
    assert facts.shares((384, 96)) == [0.8, 0.2]
    assert sum(facts.shares((768, 512, 64))) == pytest.approx(1.0)
    assert facts.shares(()) == []
