from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ragd_tune.data.power import ASSUMED, Spread, Z, detectable, measured, power


def drawn(
    rng: np.random.Generator, sizes: list[int], deviation: float, shared: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return differences whose clusters share a part of their variance, and the clusters."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    common = rng.normal(0, deviation * shared**0.5, len(sizes))[clusters]
    return common + rng.normal(0, deviation * (1 - shared) ** 0.5, len(clusters)), clusters


def test_one_query_a_cluster_is_the_textbook_formula() -> None:
    for count in (100, 300, 1000):
        found = power([str(n) for n in range(count)])
        assert found is not None
        assert found.own == pytest.approx(Z * ASSUMED.deviation / count**0.5, abs=1e-3)
        assert found.by_size[count] == found.own


def test_clusters_that_share_all_count_as_one_query_each() -> None:
    spread = Spread(deviation=0.3, correlation=1.0)
    assert detectable([5] * 40, spread) == pytest.approx(detectable([1] * 40, spread))
    alone = Spread(deviation=0.3, correlation=0.0)
    assert detectable([5] * 40, alone) == pytest.approx(detectable([1] * 200, alone))


def test_more_queries_of_the_same_shape_detect_less() -> None:
    found = power(["a", "a", "b", "c"] * 20)
    assert found is not None
    assert found.by_size[100] > found.by_size[300] > found.by_size[1000]
    assert found.by_size[300] == pytest.approx(found.own * (80 / 300) ** 0.5, abs=2e-3)


def test_without_a_test_query_nothing_is_detected() -> None:
    assert power([]) is None


@pytest.mark.parametrize("shared", [0.0, 0.3])
def test_the_gain_that_is_told_shows_in_four_of_five_tries(shared: float) -> None:
    rng = np.random.default_rng(0)
    sizes = [1, 2, 3, 4, 8] * 20
    gain = detectable(sizes, Spread(deviation=0.3, correlation=shared))
    shown = 0
    for _ in range(1000):
        values, clusters = drawn(rng, sizes, 0.3, shared)
        values = values + gain
        residuals = np.bincount(clusters, values - values.mean())
        error = np.sqrt((residuals**2).sum()) / len(values)
        shown += values.mean() / error > 1.96
    assert 0.76 <= shown / 1000 <= 0.86


@pytest.mark.parametrize("shared", [0.0, 0.2, 0.6])
def test_spread_and_what_is_shared_are_measured(shared: float) -> None:
    values, clusters = drawn(np.random.default_rng(1), [1, 2, 3, 6] * 250, 0.3, shared)
    ids = [str(n) for n in range(len(values))]
    found = measured(
        dict(zip(ids, values.tolist(), strict=True)),
        dict(zip(ids, map(str, clusters), strict=True)),
        "mine",
    )
    assert found.deviation == pytest.approx(0.3, abs=0.01)
    assert found.correlation == pytest.approx(shared, abs=0.05)
    assert "measured by the proof of mine" in found.told


@pytest.mark.parametrize("clusters", [{"a": "1", "b": "1"}, {"a": "1", "b": "2"}])
def test_one_cluster_or_only_single_queries_share_nothing_that_can_be_measured(
    clusters: dict[str, str],
) -> None:
    assert measured({"a": 0.1, "b": 0.3}, clusters, "mine").correlation == 0.0


def test_one_difference_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no spread"):
        measured({"a": 0.1}, {"a": "1"}, "mine")
