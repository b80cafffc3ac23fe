"""New thresholds keep what the old ones kept, and follow the scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragd_tune.ragd.facts import HostConfig
from ragd_tune.ragd.recalibrate import KEEP, LEAST, keyword_scores, moved, recalibrate, scores
from ragd_tune.testing.samples import tiny_data


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6])
def test_the_threshold_keeps_at_least_95_percent_and_no_more_than_it_must(
    seed: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    old, new = rng.random((2, int(rng.integers(LEAST, 200))))
    told = moved("min_score", threshold, old, new)
    kept = np.sort(new[old >= threshold])
    assert told.answers == len(kept)
    if len(kept) < LEAST:
        assert told.after == threshold
        return
    least = math.ceil(KEEP * len(kept))
    assert told.kept == int((kept >= told.after).sum()) >= least
    assert (kept >= told.after + 2e-4).sum() < least or kept[len(kept) - least] < told.after + 2e-4


def test_scores_that_all_shift_take_the_threshold_with_them() -> None:
    old = np.linspace(0.4, 0.9, 200)
    told = moved("min_score", 0.55, old, old - 0.1)
    assert told.after == pytest.approx(0.45 + 0.05 * 0.35, abs=0.01)


class Same:
    """An embedder that puts every text at the same place."""

    def embed_queries(self, texts: list[str]) -> object:
        return np.ones((len(texts), 2), np.float32)

    embed_documents = embed_queries


def test_a_score_is_ragds_sum_of_cosine_and_keywords() -> None:
    data = tiny_data()
    query, judged = next(iter(data.qrels["test"].items()))
    pair = (query, next(iter(judged)))
    words = {pair: 5.0}
    same: object = Same()
    assert scores(data, [pair], words, same, 10.0)[0] == pytest.approx(0.7 + 0.3 * 0.5)  # type: ignore[arg-type]
    assert scores(data, [pair], {}, same, 10.0)[0] == pytest.approx(0.7)  # type: ignore[arg-type]
    assert all(value > 0 for value in keyword_scores(data, [pair]).values())


def test_data_without_held_back_queries_gives_no_thresholds(tmp_path: object) -> None:
    data = tiny_data()
    data = data.with_qrels({"train": data.qrels["train"]})
    facts = HostConfig(data_dir=tmp_path)  # type: ignore[arg-type]
    same: object = Same()
    assert recalibrate(data, facts, same, same) is None  # type: ignore[arg-type]
