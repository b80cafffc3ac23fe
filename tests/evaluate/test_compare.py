from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from ragd_tune.errors import DataError, StoreError, UsageError
from ragd_tune.evaluate import Report, Scores, compare, paired
from ragd_tune.evaluate.report import PARTS

GATE = "ndcg@10"
IDS = tuple(f"q{i}" for i in range(100))
OWN = {query: str(i) for i, query in enumerate(IDS)}
RNG = np.random.default_rng(0)
BASE = RNG.random(100) * 0.6


def scores(values: ArrayLike, first: ArrayLike = (), ids: tuple[str, ...] = IDS) -> Scores:
    found = np.asarray(values, float)
    return Scores(
        query_ids=ids,
        values={GATE: found, "mrr@10": found / 2},
        first=np.asarray(first, np.int64),
        unjudged=3,
        collapsed=2,
    )


def ab(change: NDArray[np.float64], **options: object) -> Report:
    arguments: dict[str, object] = {
        "gate_metric": GATE,
        "clusters": OWN,
        "known": frozenset(IDS[:40]),
        "resamples": 1000,
        "incumbent": "base",
        "candidate": "adapter",
    }
    return compare(scores(BASE), scores(BASE + change), **arguments | options)  # type: ignore[arg-type]


GAIN = RNG.normal(0.1, 0.1, 100)
NOTHING = np.tile([0.1, -0.1], 50)


def test_a_proven_gain_passes_and_says_so() -> None:
    report = ab(GAIN)
    assert report.passed
    assert report.reason == ""
    gate = report.gate
    assert gate.before == pytest.approx(BASE.mean())
    assert gate.after == pytest.approx((BASE + GAIN).mean())
    assert report.sentence.startswith(
        f"Adapter does better than base: nDCG@10 {gate.before:.4f} → {gate.after:.4f} (+"
    )
    assert "100 queries in 100 groups" in report.sentence


def test_a_loss_is_called_a_loss() -> None:
    report = ab(-GAIN)
    assert not report.passed
    assert report.sentence.startswith("Adapter does worse than base: ")
    assert "lies below 0" in report.reason


def test_an_interval_that_includes_zero_is_no_difference_shown() -> None:
    report = ab(NOTHING + 0.001)
    assert report.gate.after > report.gate.before
    assert not report.passed
    assert report.sentence.startswith("No difference could be shown between adapter and base: ")
    assert "includes 0" in report.reason


def test_too_few_clusters_show_nothing_however_large_the_gain() -> None:
    report = ab(GAIN, clusters={query: str(int(i) % 10) for query, i in OWN.items()})
    assert report.gate.difference.low > 0
    assert not report.passed
    assert report.sentence.startswith("Nothing can be shown: the queries fall into 10 independent")
    assert "10 independent groups" in report.reason


def test_an_adapter_that_changes_nothing_is_told_so() -> None:
    report = ab(np.zeros(100))
    assert report.reason == "no query scored differently"
    assert (report.gained, report.lost) == ((), ())


@settings(max_examples=60, deadline=None)
@given(
    mean=st.floats(-0.2, 0.2),
    spread=st.floats(0, 0.4),
    known=st.integers(0, 100),
    groups=st.integers(1, 100),
    seed=st.integers(0, 99),
)
def test_no_sentence_claims_a_gain_that_the_interval_does_not_carry(
    mean: float, spread: float, known: int, groups: int, seed: int
) -> None:
    change = np.random.default_rng(seed).normal(mean, spread, 100)
    report = ab(
        change,
        known=IDS[:known],
        clusters={query: str(int(i) % groups) for query, i in OWN.items()},
        resamples=200,
    )
    verdict, _, parts = report.sentence.partition("New documents:")
    assert ("does better" in verdict) == report.passed == report.gate.difference.proven
    if parts:
        new, _, old = parts.partition("Known documents:")
        for text, part in ((new, "new"), (old, "known")):
            cell = report.cell(part, GATE, None)  # type: ignore[arg-type]
            assert cell is not None
            assert ("better" in text) == cell.difference.proven
    for word in ("improve", "win", "beats", "gain", "significant"):
        assert word not in report.sentence
    assert Report.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report


def test_known_and_new_documents_are_reported_apart() -> None:
    change = np.where(np.arange(100) < 40, GAIN, -GAIN)
    report = ab(change)
    known, new = report.cell("known", GATE, None), report.cell("new", GATE, None)
    assert known is not None
    assert new is not None
    assert (known.difference.queries, new.difference.queries) == (40, 60)
    assert known.difference.mean == pytest.approx(change[:40].mean())
    assert new.difference.mean == pytest.approx(change[40:].mean())
    assert (report.counts.known, report.counts.new) == (40, 60)
    assert "New documents: worse (" in report.sentence
    assert "Known documents: better (" in report.sentence


def test_a_part_without_queries_has_no_cells_and_its_absence_is_said() -> None:
    every = ab(GAIN, known=IDS)
    assert every.cell("new", GATE, None) is None
    assert "nothing is shown for new documents" in every.sentence
    none = ab(GAIN, known=())
    assert none.cell("known", GATE, None) is None
    assert "no training query used" in none.sentence


def test_leaks_are_taken_out_counted_and_told() -> None:
    leaks = IDS[30:50]
    change = NOTHING.copy()
    change[30:50] = 0.9
    report = ab(change, exclude={*leaks, "not in this test set"})
    counts = report.counts
    assert (counts.queries, counts.excluded, counts.known, counts.new) == (80, 20, 30, 50)
    compared = [report.cell(part, GATE, None) for part in PARTS]
    assert [cell and cell.difference.queries for cell in compared] == [80, 30, 50]
    assert not report.passed
    assert "20 leaked queries were left out." in report.sentence
    assert {moved.query_id for moved in report.gained}.isdisjoint(leaks)


def test_looks_are_carried_and_told_from_the_second_on() -> None:
    assert "looked at" not in ab(GAIN, looks=1).sentence
    report = ab(GAIN, looks=3)
    assert report.looks == 3
    assert "looked at 3 times" in report.sentence
    with pytest.raises(ValueError, match="looks is 0"):
        ab(GAIN, looks=0)


def test_every_dimension_and_metric_has_its_cell_and_the_largest_dimension_decides() -> None:
    before = {64: scores(BASE), 384: scores(BASE)}
    after = {64: scores(BASE + GAIN), 384: scores(BASE - GAIN)}
    options = {"gate_metric": GATE, "clusters": OWN, "known": IDS[:40], "resamples": 500}
    report = compare(before, after, **options)  # type: ignore[arg-type]
    assert len(report.cells) == 3 * 2 * 2
    assert report.gate_dims == 384
    assert not report.passed
    small = compare(before, after, gate_dims=64, **options)  # type: ignore[arg-type]
    assert small.passed
    assert "nDCG@10 at 64 dimensions" in small.sentence
    with pytest.raises(UsageError, match="dimension 128 decides"):
        compare(before, after, gate_dims=128, **options)  # type: ignore[arg-type]


def test_an_unmeasured_gate_metric_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="accuracy at dimension None"):
        ab(GAIN, gate_metric="accuracy")


def test_the_queries_that_moved_most_come_with_text_and_ranks() -> None:
    change = np.zeros(100)
    change[[5, 7, 9]] = [0.2, 0.4, -0.3]
    first = np.full(100, 4)
    moved = first.copy()
    moved[[5, 7, 9]] = [2, 1, 0]
    report = compare(
        scores(BASE, first),
        scores(BASE + change, moved),
        gate_metric=GATE,
        clusters=OWN,
        known=(),
        texts={"q7": "how to list files"},
        resamples=200,
    )
    assert [m.query_id for m in report.gained] == ["q7", "q5"]
    best = report.gained[0]
    assert (best.text, best.rank_before, best.rank_after) == ("how to list files", 4, 1)
    assert best.after - best.before == pytest.approx(0.4)
    assert [(m.query_id, m.rank_after) for m in report.lost] == [("q9", None)]


def test_at_most_ten_queries_are_listed_on_either_side() -> None:
    report = ab(NOTHING)
    assert (len(report.gained), len(report.lost)) == (10, 10)


def test_different_queries_or_dimensions_are_refused() -> None:
    options = {"gate_metric": GATE, "clusters": OWN, "known": ()}
    other = scores(BASE, ids=tuple(reversed(IDS)))
    with pytest.raises(ValueError, match="different queries"):
        compare(scores(BASE), other, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dimensions differ"):
        compare({64: other}, {32: other}, **options)  # type: ignore[arg-type]


def test_nothing_left_to_compare_is_bad_data() -> None:
    with pytest.raises(DataError, match="no test query is left"):
        ab(GAIN, exclude=IDS)


def test_the_report_goes_to_json_and_back_unchanged() -> None:
    report = ab(GAIN, looks=2, exclude={"q3"}, texts={"q1": "naïve → 日本"})
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert Report.from_json(value) == report
    assert value["passed"] is True
    assert value["sentence"] == report.sentence


def test_a_record_that_claims_to_have_passed_is_not_believed() -> None:
    value = ab(-GAIN).to_json() | {"passed": True, "sentence": "splendid"}
    read = Report.from_json(value)
    assert not read.passed
    assert "worse" in read.sentence


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": 2},
        {"schema": None},
        {"cells": None},
        {"cells": [{"part": "all"}]},
        {"counts": 3},
        {"surplus": 1},
        {"gained": [{"query_id": "q"}]},
    ],
)
def test_a_damaged_record_is_refused_with_a_mend(damage: dict[str, object]) -> None:
    value = ab(GAIN).to_json() | damage
    with pytest.raises(StoreError) as refused:
        Report.from_json({k: v for k, v in value.items() if v is not None})
    assert "ragd-tune evaluate" in refused.value.mend


def test_a_number_that_is_not_finite_neither_leaves_nor_enters() -> None:
    report = ab(GAIN)
    broken = replace(report, cells=(replace(report.cells[0], before=math.nan), *report.cells[1:]))
    with pytest.raises(StoreError, match=r"cells\[0\]\.before is nan"):
        broken.to_json()
    value = report.to_json()
    value["cells"][0]["difference"]["high"] = math.inf
    with pytest.raises(StoreError, match="high is inf"):
        Report.from_json(value)


def test_the_verdict_follows_from_the_scores_of_each_query_that_the_report_publishes() -> None:
    report = ab(GAIN, known=IDS[:40], exclude=IDS[90:])
    rows = json.loads(json.dumps(report.to_json()))["queries"]
    assert [row["id"] for row in rows] == list(IDS[:90])
    assert [row["known"] for row in rows] == [True] * 40 + [False] * 50
    clusters = np.unique([row["cluster"] for row in rows], return_inverse=True)[1]
    again = paired(
        [row["after"] - row["before"] for row in rows],
        clusters,
        seed=report.seed,
        resamples=report.resamples,
    )
    told = report.gate.difference  # measured beside other metrics: sums differ in the last digit
    assert [again.mean, again.low, again.high, again.p] == pytest.approx(
        [told.mean, told.low, told.high, told.p]
    )
    assert again.proven == report.passed
