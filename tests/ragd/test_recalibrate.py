"""New thresholds show what the adapter finds, and never less than the old ones did."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ragd_tune.ragd.facts import HostConfig
from ragd_tune.ragd.recalibrate import KEEP, LEAST, moved, recalibrate
from ragd_tune.ragd.results import Results
from ragd_tune.testing.samples import tiny_data


def results(right: object, others: object = ()) -> Results:
    return Results(
        right=np.array(right, np.float64), others=np.array(others, np.float64), questions=10
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_a_threshold_shows_95_percent_of_what_is_found_and_hides_what_it_may(
    seed: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    old = results(rng.random(int(rng.integers(5, 60))) * 0.7)
    new = results(rng.random(int(rng.integers(LEAST - 5, 200))))
    told = moved("min_score", threshold, old, new)
    if len(new.right) < LEAST:
        assert told.after == threshold
        return
    share = max(KEEP, told.old.shown / len(old.right))
    least = min(len(new.right), max(math.ceil(share * len(new.right)), told.old.shown))
    assert told.new.shown == int((new.right >= told.after).sum()) >= least
    assert int((new.right >= told.after + 2e-4).sum()) < max(least, told.new.shown)


def test_answers_that_only_the_adapter_finds_count() -> None:
    """What the old threshold let through of the base is high; what was gained lies below it."""
    old = results(np.linspace(0.3, 0.7, 40))
    gained = np.concatenate([np.linspace(0.56, 0.9, 30), np.linspace(0.40, 0.54, 70)])
    told = moved("min_score", 0.55, old, results(gained))
    assert told.new.shown >= 95
    assert told.old.shown == 15


def test_no_smaller_share_is_shown_than_before() -> None:
    told = moved("min_score", 0.2, results(np.linspace(0.3, 0.9, 50)), results([0.1] * 30))
    assert (told.old.shown, told.old.found) == (50, 50)
    assert told.new.shown == told.new.found == 30


def test_no_fewer_answers_are_shown_than_before() -> None:
    new = results(np.linspace(0.3, 0.9, 40))
    told = moved("min_score", 0.5, results([*[0.6] * 39, *[0.4] * 10]), new)
    assert told.new.shown == 39 > math.ceil(0.95 * 40)


def test_a_threshold_that_hides_nothing_stays() -> None:
    told = moved("min_score", 0.0, results([0.5] * 30), results([0.4] * 30, [0.1] * 20))
    assert told.after == 0.0
    assert told.new.others == 2.0


def test_the_sentence_tells_what_comes_through_beside_the_answers() -> None:
    old = results([0.6] * 12 + [0.5] * 18, [0.6] * 5)
    told = moved("min_score", 0.55, old, results([0.5] * 30, [0.51] * 40))
    assert told.sentence == (
        "min_score: 0.55 → 0.5, which shows 30 of the 30 right answers that the adapter finds "
        "(before: 12 of 30), and 4.0 other results a question (before: 0.5)"
    )


class Letters:
    """An embedder by the letters of a text."""

    def embed_queries(self, texts: list[str]) -> object:
        return np.array([[text.count(one) + 1 for one in "aeiot"] for text in texts], np.float32)

    embed_documents = embed_queries


def test_questions_of_the_test_are_left_alone_where_there_are_others(tmp_path: Path) -> None:
    data, letters = tiny_data(), Letters()
    facts = HostConfig(data_dir=tmp_path)
    queries = sorted(data.qrels["test"])
    some = {one: data.qrels["test"][one] for one in queries[: len(queries) // 2]}
    both = data.with_qrels({"dev": some, "test": data.qrels["test"]})
    told = recalibrate(both, facts, letters, letters)  # type: ignore[arg-type]
    assert told is not None
    assert (told.split, told.questions) == ("dev", len(some))
    only = recalibrate(data.with_qrels({"test": some}), facts, letters, letters)  # type: ignore[arg-type]
    assert only is not None
    assert only.split == "test"


def test_data_without_held_back_queries_gives_no_thresholds(tmp_path: Path) -> None:
    data, letters = tiny_data(), Letters()
    data = data.with_qrels({"train": data.qrels["train"]})
    assert recalibrate(data, HostConfig(data_dir=tmp_path), letters, letters) is None  # type: ignore[arg-type]
