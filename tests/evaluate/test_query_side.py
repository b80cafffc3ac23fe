"""An adapter of the query side serves known documents, and must not lose on new ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from ragd_tune.evaluate import Report, Scores, compare

GATE = "ndcg@10"
IDS = tuple(f"q{i}" for i in range(200))
DRAW = np.random.default_rng(0)
BASE = 0.3 + 0.3 * DRAW.random(200)
NOISE = DRAW.normal(0.0, 0.02, 200)


def report(
    known: float, new: float, *, side: Literal["both", "query"] = "query", news: int = 50
) -> Report:
    """Return a proof with these differences on known documents and on the last, new ones."""
    change = NOISE + np.where(np.arange(200) < 200 - news, known, new)

    def scores(values: NDArray[np.float64]) -> Scores:
        return Scores(query_ids=IDS, values={GATE: values})

    made = compare(
        scores(BASE),
        scores(BASE + change),
        gate_metric=GATE,
        clusters={query: query for query in IDS},
        known=frozenset(IDS[: 200 - news]),
        resamples=1000,
    )
    return replace(made, side=side)


def test_a_gain_on_known_documents_passes_where_new_ones_do_not_lose() -> None:
    made = report(known=0.1, new=0.0)
    assert made.passed
    assert "it serves known documents" in made.sentence
    assert Report.from_json(made.to_json()) == made


@pytest.mark.parametrize("new", [-0.015, -0.1])
def test_a_loss_on_new_documents_is_refused_though_the_whole_gains(new: float) -> None:
    made = report(known=0.1, new=new)
    assert made.gate.difference.proven, "the deciding interval lies above 0 all the same"
    assert not made.passed
    assert "new ones lose" in made.reason
    assert made.to_json()["passed"] is False


def test_the_same_loss_does_not_refuse_an_adapter_of_both_sides() -> None:
    made = report(known=0.1, new=-0.1, side="both")
    assert made.passed
    assert "serves known documents" not in made.sentence


def test_a_loss_that_nothing_can_be_said_about_refuses_nothing() -> None:
    made = report(known=0.1, new=-0.1, news=10)
    new = made.cell("new", GATE, None)
    assert new is not None
    assert not new.difference.enough
    assert made.passed


def test_a_page_says_why_it_is_not_to_be_used() -> None:
    from ragd_tune.report.story import Story

    made = Story(
        adapter="mine", id="a" * 64, kind="bi-encoder", base="base", base_fingerprint="f" * 64,
        report=report(known=0.1, new=-0.1), data="data", data_fingerprint="d" * 64, split="test",
    )  # fmt: skip
    assert made.answer == "no"
    assert made.decision == "Do not use it: it loses on new documents"
