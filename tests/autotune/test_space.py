"""What a search may change: what the user left open, around the defaults."""

from __future__ import annotations

import pytest

from ragd_tune.autotune.space import SEARCHED, rounded, space
from ragd_tune.config import Setting
from ragd_tune.errors import UsageError
from ragd_tune.options import CONTRASTIVE, LORA, RUN, Value

OPTIONS = (*RUN, *CONTRASTIVE, *LORA)


def settings(**own: Value) -> dict[str, Setting]:
    made = {
        one.name: Setting(value=one.default, source="default", where="default") for one in OPTIONS
    }
    return made | {
        name: Setting(value=value, source="flag", where=f"--{name}") for name, value in own.items()
    }


def test_the_five_options_are_searched_and_each_holds_its_default() -> None:
    found = space(OPTIONS, settings())
    assert tuple(axis.name for axis in found) == SEARCHED
    defaults = {one.name: one.default for one in OPTIONS}
    for axis in found:
        assert axis.default == defaults[axis.name]
        assert axis.default in axis.values or axis.low < axis.default < axis.high


def test_what_the_user_set_is_not_searched() -> None:
    names = [axis.name for axis in space(OPTIONS, settings(learning_rate=1e-4, lora_rank=8))]
    assert names == ["negatives", "temperature", "epochs"]


@pytest.mark.parametrize("given", [{"max_steps": 5}, {"minutes": 1.0}])
def test_passes_are_not_searched_where_something_else_decides_the_steps(
    given: dict[str, Value],
) -> None:
    assert "epochs" not in [axis.name for axis in space(OPTIONS, settings(**given))]


def test_the_user_may_name_what_is_searched() -> None:
    found = space(OPTIONS, settings(), only=("temperature", "learning_rate"))
    assert [axis.name for axis in found] == ["learning_rate", "temperature"]


@pytest.mark.parametrize(
    ("only", "own", "said"),
    [
        (("warmup",), {}, "'warmup' is not searched here"),
        (("lora_rank",), {"lora_rank": 4}, "lora_rank is set already (--lora_rank)"),
        ((), dict.fromkeys(SEARCHED, 1), "every option that could be searched is set"),
    ],
)
def test_a_search_over_nothing_says_why(
    only: tuple[str, ...], own: dict[str, Value], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        space(OPTIONS, settings(**own), only=only)
    assert said in caught.value.message
    assert caught.value.mend


def test_no_value_lies_outside_its_option() -> None:
    high = settings()
    high["learning_rate"] = Setting(value=0.08, source="kind", where="the kind's default")
    high["epochs"] = Setting(value=80.0, source="kind", where="the kind's default")
    ranges = {one.name: one for one in OPTIONS}
    for axis in space(OPTIONS, high):
        option = ranges[axis.name]
        for value in (*axis.values, *((axis.low, axis.high) if not axis.values else ())):
            option.parse(value, where="a trial")


def test_a_drawn_number_has_two_digits_and_stays_in_its_range() -> None:
    rate = next(axis for axis in space(OPTIONS, settings()) if axis.name == "learning_rate")
    assert rounded(rate, 0.0000654321) == 0.000065
    assert rounded(rate, 2 * rate.high) == rate.high
    assert rounded(rate, rate.high) == rate.high
    assert rounded(rate, rate.default) == rate.default
