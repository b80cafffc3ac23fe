"""Who trains and who serves is a pure function of what the backends declare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune.backends import Availability, Backend, serve_cells, train_cells
from ragd_tune.choose import Offer, choose_server, choose_trainer
from ragd_tune.errors import NoBackendError
from ragd_tune.plan import BaseModel, Device

BASE = BaseModel(name="tiny", path=Path("tiny"), fingerprint="f" * 64)


def offer(
    name: str,
    *,
    tunings: tuple[str, ...] = ("full",),
    devices: tuple[Device, ...] = ("cpu",),
    declared: tuple[Device, ...] = ("cpu", "cuda"),
    priority: int = 0,
    reason: str = "",
) -> Offer:
    found = Availability(
        devices=devices, priority=priority, reason=reason, mend=f"pip install {name}"
    )
    return Offer(
        found=found,
        backend=Backend(
            name=name,
            title=name,
            train_cells=train_cells(("contrastive",), tunings, declared),
            serve_cells=serve_cells(("full",), ("contrastive",), declared),
            detect=lambda: found,
        ),
    )


def trainer(*offers: Offer, tuning: str = "full", **asked: object) -> tuple[str, str]:
    choice = choose_trainer(offers, objective="contrastive", tuning=tuning, **asked)  # type: ignore[arg-type]
    return choice.backend.name, choice.device


def test_the_higher_priority_wins_and_a_tie_goes_to_the_earlier_name() -> None:
    assert trainer(offer("a"), offer("b", priority=5)) == ("b", "cpu")
    assert trainer(offer("b"), offer("a")) == ("a", "cpu")


@given(st.permutations(["a", "b", "c", "d"]), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_the_order_of_the_offers_decides_nothing(order: list[str], priorities: list[int]) -> None:
    by_name = dict(zip("abcd", priorities, strict=True))
    offers = [offer(name, priority=by_name[name]) for name in order]
    assert trainer(*offers)[0] == min(by_name, key=lambda name: (-by_name[name], name))


def test_the_best_device_that_is_here_and_declared_is_taken() -> None:
    assert trainer(offer("a", devices=("cuda", "cpu"))) == ("a", "cuda")
    assert trainer(offer("a", devices=("mps", "cpu"))) == ("a", "cpu")
    assert trainer(offer("a", devices=("cuda", "cpu")), device="cpu") == ("a", "cpu")


def test_what_nobody_declares_is_refused_with_every_backend_and_its_reason() -> None:
    with pytest.raises(NoBackendError) as caught:
        trainer(offer("a"), offer("b", reason="torch is missing"), tuning="lora")
    assert caught.value.refused == {"a": "does not declare it", "b": "does not declare it"}
    assert "train contrastive by lora" in caught.value.message
    assert caught.value.exit_code == 4


def test_one_that_could_run_it_is_named_with_the_command_that_gets_it() -> None:
    with pytest.raises(NoBackendError) as caught:
        trainer(offer("a", tunings=("lora",)), offer("b", reason="torch is missing"))
    assert caught.value.refused == {"a": "does not declare it", "b": "torch is missing"}
    assert caught.value.mend == "pip install b"


def test_a_tuning_of_one_side_names_that_side() -> None:
    with pytest.raises(NoBackendError) as caught:
        trainer(offer("a"), offer("b", reason="torch is missing"), side="query")
    assert caught.value.mend == "leave --side query out"
    assert "query side only" in caught.value.message


def test_an_adapter_of_the_query_side_never_goes_to_a_server_that_does_not_know_it() -> None:
    with pytest.raises(NoBackendError, match="query side only"):
        choose_server([offer("a")], objective="contrastive", format="full", side="query")


def test_a_device_that_is_not_here_is_refused_with_those_that_are() -> None:
    with pytest.raises(NoBackendError) as caught:
        trainer(offer("a"), device="cuda")
    assert caught.value.refused == {"a": "has no such device here (devices: cpu)"}


def test_a_backend_that_was_asked_for_by_name_is_not_replaced_by_a_better_one() -> None:
    assert trainer(offer("a"), offer("b", priority=9), backend="a") == ("a", "cpu")


def test_a_server_is_chosen_by_format_and_not_by_who_trained() -> None:
    offers = [offer("a"), offer("b", priority=1)]
    choice = choose_server(offers, objective="contrastive", format="full")
    assert choice.backend.name == "b"
    with pytest.raises(NoBackendError, match="load contrastive in format map"):
        choose_server(offers, objective="contrastive", format="map")


def test_without_any_backend_the_message_gives_the_command_that_gets_one() -> None:
    with pytest.raises(NoBackendError, match="none is installed") as caught:
        choose_server([], objective="contrastive", format="full")
    assert 'pip install "ragd-tune[cpu]"' in caught.value.mend


def test_one_asked_for_by_name_that_lacks_it_names_the_one_that_has_it() -> None:
    here = offer("a"), offer("b", tunings=("full", "lora")), offer("c", reason="not installed")
    with pytest.raises(NoBackendError) as caught:
        trainer(*here, tuning="lora", backend="a")
    assert caught.value.refused == {"a": "does not declare it"}
    assert caught.value.mend == "the backend b does: --backend b"


def without(name: str, what: str, **declared: object) -> Offer:
    """Return an offer of a backend that says of every base that it lacks ``what``."""
    made = offer(name, **declared)  # type: ignore[arg-type]

    def unfit(base: BaseModel, objective: str) -> str:
        assert objective == "contrastive"
        return f"does not compute the {what} of {base.name}"

    return replace(made, backend=replace(made.backend, unfit=unfit))


def test_a_backend_that_does_not_compute_the_base_gives_way_to_one_that_does() -> None:
    offers = without("a", "layers", priority=80), offer("b", priority=50)
    assert trainer(*offers) == ("a", "cpu")
    assert trainer(*offers, base=BASE) == ("b", "cpu")
    choice = choose_server(offers, objective="contrastive", format="full", base=BASE)
    assert choice.backend.name == "b"


def test_a_base_that_nobody_computes_is_refused_with_the_reason_and_the_command() -> None:
    offers = without("a", "layers"), offer("b", reason="torch is missing")
    with pytest.raises(NoBackendError) as caught:
        choose_server(offers, objective="contrastive", format="full", base=BASE)
    assert caught.value.refused == {
        "a": "does not compute the layers of tiny",
        "b": "torch is missing",
    }
    assert caught.value.mend == "pip install b"


def test_one_asked_for_by_name_that_does_not_compute_the_base_names_one_that_does() -> None:
    offers = without("a", "layers"), offer("b"), without("c", "heads")
    with pytest.raises(NoBackendError, match="a: does not compute the layers") as caught:
        trainer(*offers, backend="a", base=BASE)
    assert caught.value.mend == "the backend b does: --backend b"
