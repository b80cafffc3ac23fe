from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune import hookimpl
from ragd_tune.backends import Limits, MultiVector, RerankRequest
from ragd_tune.errors import NoBackendError, NotInstalledError, PluginError, StoreError, UsageError
from ragd_tune.kinds import Served
from ragd_tune.plan import BaseModel, ModelFacts
from ragd_tune.registry import Registry
from ragd_tune.serve import ServedModel, open_model
from ragd_tune.testing.fakes import FakePlugin, registry

FACTS = ModelFacts(dimension=3, max_length=16)
UNIT = np.eye(3, dtype=np.float32)


class Answers(FakePlugin):
    """A backend that answers whatever a test wants."""

    def __init__(self, answer: Any, facts: object = FACTS) -> None:
        super().__init__("odd")
        self.answer = answer
        self.facts = facts
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    @hookimpl
    def ragd_tune_load_adapter(self, request: object) -> Any:
        return self

    @hookimpl
    def ragd_tune_embed(self, model: object, texts: Sequence[str], role: str) -> Any:
        return self.answer

    @hookimpl
    def ragd_tune_rerank(self, model: object, requests: object) -> Any:
        return self.answer

    @hookimpl
    def ragd_tune_generate(self, model: object, prompts: object, limits: object) -> Any:
        return self.answer


def served(shop: Any, answer: Any, facts: object = FACTS) -> ServedModel:
    return open_model(
        registry(Answers(answer, facts)), objective="contrastive", format="base", base=shop.base
    )


def opened(shop: Any, using: Registry | None = None, **more: Any) -> ServedModel:
    return open_model(
        using or shop.registry, objective="contrastive", format="base", base=shop.base, **more
    )


def test_a_served_model_is_what_a_proof_takes(shop: Any) -> None:
    model: Served = opened(shop)
    vectors = model.embed(["a harbour", "a lamp"], "query")
    assert isinstance(vectors, np.ndarray)
    assert vectors.shape == (2, 16)
    assert model.facts.dimension == 16


def test_no_texts_give_no_vectors_of_the_right_width(shop: Any) -> None:
    vectors = opened(shop).embed([], "document")
    assert isinstance(vectors, np.ndarray)
    assert vectors.shape == (0, 16)


def test_a_plugin_that_comes_later_never_receives_a_call(shop: Any) -> None:
    with opened(shop) as model:
        model.embed(["one"], "query")
        late = FakePlugin("late", priority=100)
        assert shop.registry.register(late, name="late", distribution="late")
        model.embed(["two"], "query")
        assert late.calls == []
        assert shop.plugin.calls == ["load", "embed", "embed"]
        with opened(shop) as other:  # but a new model goes to the better one
            other.embed(["three"], "query")
    assert late.calls == ["load", "embed"]


def test_the_backend_with_the_highest_priority_loads_and_a_name_overrules_it() -> None:
    weak, strong = FakePlugin("weak", 1), FakePlugin("strong", 2)
    both = registry(weak, strong)

    base = BaseModel(name="x", path=Path("nowhere"), fingerprint="x")
    for name, plugin in (("strong", strong), ("weak", weak)):
        with pytest.raises(StoreError, match="is missing"):
            open_model(
                both, objective="contrastive", format="base", base=base,
                backend=None if name == "strong" else name,
            )  # fmt: skip
        assert plugin.calls == ["load"]


BAD_DENSE: dict[str, tuple[Any, str]] = {
    "NaN": (np.array([[1, 0, 0], [np.nan, 0, 0]], np.float32), "vector 1, which holds NaN"),
    "infinity": (np.array([[np.inf, 0, 0], [1, 0, 0]], np.float32), "vector 0, which holds NaN"),
    "float64": (np.eye(3)[:2], "dtype float64, not float32"),
    "one vector too few": (UNIT[:1], r"shape \(1, 3\), not \(2, 3\)"),
    "one dimension too many": (np.ones((2, 4), np.float32) / 2, r"shape \(2, 4\), not \(2, 3\)"),
    "a flat array": (np.ones(6, np.float32), r"shape \(6,\)"),
    "lists": ([[1.0, 0.0, 0.0]] * 2, "as list, not as a NumPy array"),
    "not normalised": (UNIT[:2] * np.float32(2), r"length 2\.0000, though"),
}


@pytest.mark.parametrize("what", BAD_DENSE)
def test_vectors_that_break_the_contract_are_refused_naming_the_backend(
    shop: Any, what: str
) -> None:
    answer, words = BAD_DENSE[what]
    with pytest.raises(PluginError, match=f"the backend odd answered .*{words}"):
        served(shop, answer).embed(["a", "b"], "query")


def test_a_text_without_a_known_word_may_have_the_zero_vector(shop: Any) -> None:
    served(shop, UNIT[:2] * np.array([[0], [1]], np.float32)).embed(["", "b"], "query")


def test_lengths_are_free_where_the_model_does_not_normalise(shop: Any) -> None:
    facts = replace(FACTS, normalise=False)
    served(shop, UNIT[:2] * np.float32(2), facts).embed(["a", "b"], "query")


def multi(values: Any, offsets: Any) -> MultiVector:
    return MultiVector(values=values, offsets=offsets)


BAD_MULTI: dict[str, tuple[MultiVector, str]] = {
    "NaN": (multi(UNIT * np.float32("nan"), np.array([0, 1, 3])), "holds NaN"),
    "int32 offsets": (multi(UNIT, np.array([0, 1, 3], np.int32)), "not an int64 array"),
    "a text too few": (multi(UNIT, np.array([0, 3])), "do not divide"),
    "tokens left over": (multi(UNIT, np.array([0, 1, 2])), "do not divide"),
    "a late start": (multi(UNIT, np.array([1, 2, 3])), "do not divide"),
    "going back": (multi(UNIT, np.array([0, 4, 3])), "do not divide"),
    "another width": (multi(UNIT[:, :2], np.array([0, 1, 3])), "2 dimensions, not 3"),
}


@pytest.mark.parametrize("what", BAD_MULTI)
def test_token_vectors_that_break_the_contract_are_refused(shop: Any, what: str) -> None:
    answer, words = BAD_MULTI[what]
    with pytest.raises(PluginError, match=f"the backend odd .*{words}"):
        served(shop, answer).embed(["a", "b"], "query")


def test_sound_token_vectors_pass_an_empty_text_included(shop: Any) -> None:
    answer = multi(UNIT, np.array([0, 0, 3]))
    assert served(shop, answer).embed(["", "b"], "query") is answer


REQUESTS = [RerankRequest(query="q", passages=("a", "b")), RerankRequest(query="r", passages=())]
EMPTY = np.zeros(0, np.float32)
BAD_SCORES: dict[str, tuple[Any, str]] = {
    "a request too few": ([np.zeros(2, np.float32)], "no list of 2 arrays"),
    "a score too few": ([np.zeros(1, np.float32), EMPTY], "1 scores for the 2 passages"),
    "NaN": ([np.array([0, np.nan], np.float32), EMPTY], "score of request 0, passage 1"),
    "float64": ([np.zeros(2), EMPTY], "scores of request 0 of dtype float64"),
}


@pytest.mark.parametrize("what", BAD_SCORES)
def test_scores_that_break_the_contract_are_refused(shop: Any, what: str) -> None:
    answer, words = BAD_SCORES[what]
    with pytest.raises(PluginError, match=f"the backend odd .*{words}"):
        served(shop, answer).rerank(REQUESTS)


def test_sound_scores_and_texts_pass(shop: Any) -> None:
    scores = [np.array([0.1, 0.2], np.float32), EMPTY]
    assert served(shop, scores).rerank(REQUESTS) == scores
    assert served(shop, ["x", "y"]).generate(["a", "b"], Limits()) == ["x", "y"]


@pytest.mark.parametrize("answer", [["x"], "xy", ["x", 3], ("x", "y")])
def test_texts_that_break_the_contract_are_refused(shop: Any, answer: Any) -> None:
    with pytest.raises(PluginError, match="no list of 2 texts"):
        served(shop, answer).generate(["a", "b"], Limits())


@pytest.mark.parametrize("texts", ["one text", ["a", None], [b"bytes"]])
def test_what_is_no_list_of_texts_never_reaches_the_backend(shop: Any, texts: Any) -> None:
    model = opened(shop)
    with pytest.raises(UsageError, match="text"):
        model.embed(texts, "query")
    assert shop.plugin.calls == ["load"]


def test_a_closed_model_says_so_and_closing_twice_is_harmless(shop: Any) -> None:
    plugin = Answers(UNIT)
    with open_model(
        registry(plugin), objective="contrastive", format="base", base=shop.base
    ) as model:
        model.embed(["a", "b", "c"], "query")
    model.close()
    assert plugin.closed == 1
    with pytest.raises(UsageError, match="closed"):
        model.embed(["a"], "query")


def test_a_model_without_facts_is_refused(shop: Any) -> None:
    with pytest.raises(PluginError, match="odd loads a model without facts"):
        served(shop, None, facts="none")


def test_a_model_of_another_dimension_than_the_manifests_is_refused_and_closed(shop: Any) -> None:
    plugin = Answers(None)
    with pytest.raises(PluginError, match="dimension 3, not 4"):
        open_model(
            registry(plugin), objective="contrastive", format="base", base=shop.base,
            facts=replace(FACTS, dimension=4),
        )  # fmt: skip
    assert plugin.closed == 1


@pytest.mark.parametrize("dimension", [0, -1, 17])
def test_a_dimension_that_the_model_does_not_have_is_refused(shop: Any, dimension: int) -> None:
    facts = ModelFacts(dimension=16, dimensions=(16, 8), max_length=16)
    with pytest.raises(UsageError, match="is not from 1 to 16") as refused:
        opened(shop, facts=facts, dimension=dimension)
    assert "16, 8" in refused.value.mend


def test_more_dimensions_than_a_bare_base_has_are_refused(shop: Any) -> None:
    with pytest.raises(UsageError, match="is not from 1 to 16"):
        opened(shop, dimension=17)


@pytest.mark.parametrize("told", [2, 3], ids=["the-cut-dimension", "the-whole-one"])
def test_a_backend_may_tell_the_whole_dimension_of_a_cut_model_or_the_cut_one(
    shop: Any, told: int
) -> None:
    vectors = np.eye(2, dtype=np.float32)
    with open_model(
        registry(Answers(vectors, replace(FACTS, dimension=told))), objective="contrastive",
        format="base", base=shop.base, facts=replace(FACTS, dimensions=(3, 2, 1)), dimension=2,
    ) as model:  # fmt: skip
        assert model.facts.dimension == 2
        assert model.embed(["a", "b"], "query") is vectors


def test_a_cut_base_gives_unit_vectors_of_that_many_dimensions(shop: Any) -> None:
    vectors = opened(shop, dimension=4).embed(["harbour lamp"], "document")
    assert isinstance(vectors, np.ndarray)
    assert vectors.shape == (1, 4)


CANNOT: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "a format": ({"format": "map"}, NoBackendError),
    "a device": ({"device": "cuda"}, NoBackendError),
    "an objective": ({"objective": "causal_lm"}, NoBackendError),
    "a backend": ({"backend": "nobody"}, NotInstalledError),
}


@pytest.mark.parametrize("what", CANNOT)
def test_what_nobody_serves_is_refused_with_the_reasons(shop: Any, what: str) -> None:
    more, error = CANNOT[what]
    given = {"objective": "contrastive", "format": "base", "base": shop.base, **more}
    with pytest.raises(error, match="fake"):
        open_model(shop.registry, **given)


def test_an_export_is_loaded_again_as_a_base_with_the_same_vectors(
    shop: Any, tmp_path: Path
) -> None:
    texts = ["harbour lamp", "copper ladder"]
    with opened(shop) as model:
        before = model.embed(texts, "query")
        files = model.export("folder", tmp_path / "made")
        with pytest.raises(UsageError, match="writes no 'gguf'"):
            model.export("gguf", tmp_path / "other")
    assert all(file.is_file() for file in files)
    moved = replace(shop.base, path=tmp_path / "made")
    with open_model(shop.registry, objective="contrastive", format="base", base=moved) as again:
        np.testing.assert_array_equal(again.embed(texts, "query"), before)
