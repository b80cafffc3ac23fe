"""A tuned language model from the store: what it answers, and that it stays the one that it is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.raft.conftest import House

import ragd_tune
from ragd_tune.backends import Limits
from ragd_tune.data.raft import Template
from ragd_tune.errors import UsageError
from ragd_tune.pipeline.exporting import open_adapter
from ragd_tune.serve import Generator

PROMPT = Template().fill("Where does Person3 live?", ["Person3 lives in town3."])


def opened(house: House, **more: Any) -> Generator:
    found = ragd_tune.load(
        "mine", home=house.store.root, registry=house.shop.registry, offline=True, **more
    )
    assert isinstance(found, Generator)
    return found


def test_an_adapter_answers_through_the_hook_as_its_backend_does(house: House) -> None:
    limits = Limits(max_tokens=9)
    with open_adapter(house.shop.registry, house.store, house.store.get("mine")) as served:
        wanted = served.generate([PROMPT, "bell"], limits)
    with opened(house) as model:
        assert (model.id, model.model_name) == (house.made.id, "mine")
        assert model.generate_many([PROMPT, "bell"], max_tokens=9) == wanted
        assert model.generate(PROMPT, max_tokens=9) == wanted[0]
        assert wanted[0]
        assert model.generate_many([]) == []


def test_bounds_stops_and_the_system_turn_reach_the_model(house: House) -> None:
    with opened(house, slot="generator") as model:
        whole = model.generate(PROMPT, max_tokens=9)
        assert whole.startswith(model.generate(PROMPT, max_tokens=2))
        stop = whole[-2:]
        assert model.generate(PROMPT, max_tokens=9, stop=[stop]) == whole[: whole.index(stop)]
        assert model.generate(PROMPT, max_tokens=9, system="Be brief.") == whole
        assert model.generate(PROMPT, max_tokens=9, system="lamp garden lamp dust") != whole
        drawn = {model.generate(PROMPT, max_tokens=9, temperature=5.0) for _ in range(3)}
        assert len(drawn) > 1


@pytest.mark.parametrize(
    ("prompts", "more", "why"),
    [
        ("one text", {}, "prompts is one text"),
        ([3], {}, r"prompts\[0\]"),
        (["a"], {"max_tokens": 0}, "max_tokens is 0"),
        (["a"], {"temperature": -1.0}, "temperature is -1"),
        (["a"], {"temperature": float("nan")}, "temperature is nan"),
        (["a"], {"stop": "end"}, "stop is one text"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_model_is_asked(
    house: House, prompts: Any, more: Any, why: str
) -> None:
    model = opened(house, lazy=True)
    with pytest.raises(UsageError, match=why):
        model.generate_many(prompts, **more)
    assert not model.is_loaded


def test_a_lazy_one_loads_at_the_first_call_and_a_closed_one_says_so(house: House) -> None:
    model = opened(house, lazy=True)
    loaded = [model.is_loaded]
    model.generate("bell", max_tokens=1)
    assert [*loaded, model.is_loaded] == [False, True]
    model.close()
    with pytest.raises(UsageError, match="generator mine is closed"):
        model.generate("bell")


def test_a_generator_is_no_embedder_and_has_no_dimension(house: House) -> None:
    with pytest.raises(UsageError, match="mine is a generator"):
        opened(house, slot="embedder")
    with pytest.raises(UsageError, match="answers, which have no dimension"):
        opened(house, dimension=8)
