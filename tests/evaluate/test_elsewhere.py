from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ragd_tune.evaluate import Elsewhere, Report, Scores, compare


def drawn(gain: float, *, queries: int = 200, noise: float = 0.05) -> Report:
    ids = tuple(f"q{i}" for i in range(queries))
    rng = np.random.default_rng(0)
    base = rng.random(queries) * 0.6 + 0.2
    after = base + gain + rng.normal(0, noise, queries)
    one, two = (Scores(query_ids=ids, values={"ndcg@10": values}) for values in (base, after))
    return compare(
        one, two, gate_metric="ndcg@10", clusters=dict(zip(ids, ids, strict=True)), known=(),
        resamples=500,
    )  # fmt: skip


def elsewhere(gain: float, *, tolerance: float = 0.02, queries: int = 200) -> Elsewhere:
    report = drawn(gain, queries=queries)
    return Elsewhere.of(report, data="code", fingerprint="f" * 64, tolerance=tolerance)


GOOD = drawn(0.1)


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (-0.1, "it forgets, more than 0.02 is lost"),
        (-0.02, "it loses, but not more than 0.02 for sure"),
        (0.0, "no loss could be shown"),
        (0.05, "it does better there, too"),
    ],
)
def test_the_sentence_of_a_proof_tells_what_happens_elsewhere(gain: float, words: str) -> None:
    report = replace(GOOD, elsewhere=elsewhere(gain))
    assert f"Elsewhere (code): {words}: nDCG@10" in report.sentence
    assert report.passed is (gain > -0.1)


def test_a_gain_does_not_pass_where_more_than_allowed_is_lost_for_sure() -> None:
    assert GOOD.passed
    report = replace(GOOD, elsewhere=elsewhere(-0.1))
    assert not report.passed
    assert report.reason.startswith("it forgets: on code the whole 95% interval of nDCG@10")
    allowed = replace(GOOD, elsewhere=elsewhere(-0.1, tolerance=0.2))
    assert allowed.passed
    assert allowed.reason == ""


def test_the_whole_interval_has_to_lie_beyond_the_tolerance() -> None:
    found = elsewhere(-0.1)
    edge = -found.difference.high
    assert replace(found, tolerance=edge - 1e-6).forgets
    assert not replace(found, tolerance=edge + 1e-6).forgets


def test_too_few_groups_show_no_loss_and_refuse_nothing() -> None:
    found = elsewhere(-0.1, queries=8)
    assert not found.forgets
    assert "too few groups to say whether it forgets" in " ".join(found.sentences())


def test_keeping_elsewhere_is_no_reason_to_pass() -> None:
    report = replace(drawn(0.0), elsewhere=elsewhere(0.1))
    assert not report.passed
    assert "includes 0" in report.reason


def test_a_report_goes_to_json_and_back_with_it_and_older_ones_are_read() -> None:
    report = replace(GOOD, elsewhere=elsewhere(-0.1))
    raw = report.to_json()
    assert Report.from_json(raw) == report
    assert raw["passed"] is False
    del raw["elsewhere"]
    assert Report.from_json(raw).elsewhere is None
