from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from ragd_tune.backends import MultiVector
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.serve.remembered import Remembered
from ragd_tune.serve.served import ServedModel
from ragd_tune.store import VectorCache

IDENTITY = {"base": "f" * 64, "backend": "fake", "device": "cpu"}


class Letters:
    """Embeds a text as the number of its letters, and notes what it was asked."""

    facts = ModelFacts(dimension=2, max_length=8)

    def __init__(self, *, many: bool = False) -> None:
        self.many = many
        self.asked: list[tuple[list[str], str]] = []

    def embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32] | MultiVector:
        self.asked.append((list(texts), role))
        rows = np.array([[len(text), role == "query"] for text in texts], np.float32)
        rows = rows.reshape(len(texts), 2)
        offsets = np.arange(len(texts) + 1)
        return MultiVector(values=rows, offsets=offsets) if self.many else rows


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path)


def remembered(
    cache: VectorCache, model: Letters, identity: Mapping[str, Any] = IDENTITY
) -> Remembered:
    return Remembered(lambda: cast(ServedModel, model), cache, identity)


def test_texts_that_were_embedded_before_need_no_model(cache: VectorCache) -> None:
    first = remembered(cache, Letters()).embed(["one", "three"], "document")

    def never() -> ServedModel:
        raise AssertionError("the model was loaded")

    again = Remembered(never, cache, IDENTITY).embed(["one", "three"], "document")
    assert np.array_equal(cast(Any, again), cast(Any, first))


@pytest.mark.parametrize(
    ("texts", "role", "identity"),
    [
        (["one", "three!"], "document", IDENTITY),
        (["three", "one"], "document", IDENTITY),
        (["onethree"], "document", IDENTITY),
        (["on", "ethree"], "document", IDENTITY),
        (["one", "three"], "query", IDENTITY),
        (["one", "three"], "document", {**IDENTITY, "base": "e" * 64}),
        (["one", "three"], "document", {**IDENTITY, "backend": "other"}),
        (["one", "three"], "document", {**IDENTITY, "device": "cuda"}),
    ],
)
def test_other_texts_roles_or_models_are_embedded_anew(
    cache: VectorCache, texts: list[str], role: Role, identity: dict[str, str]
) -> None:
    remembered(cache, Letters()).embed(["one", "three"], "document")
    model = Letters()
    remembered(cache, model, identity).embed(texts, role)
    assert model.asked == [(texts, role)]


def test_many_vectors_a_text_are_not_kept(cache: VectorCache) -> None:
    for _ in range(2):
        model = Letters(many=True)
        assert isinstance(remembered(cache, model).embed(["one"], "document"), MultiVector)
        assert len(model.asked) == 1


def test_no_texts_give_no_rows_of_the_models_own_width(cache: VectorCache) -> None:
    found = cast(Any, remembered(cache, Letters()).embed([], "query"))
    assert found.shape == (0, 2)


def test_its_facts_are_the_models(cache: VectorCache) -> None:
    assert remembered(cache, Letters()).facts.dimension == 2
