from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragd_tune.evaluate.significance import ENOUGH, paired, paired_columns

Floats = NDArray[np.float64]


def like_a_real_run(
    seed: int, count: int, *, zero: float, sizes: str
) -> tuple[Floats, NDArray[np.int64]]:
    """Differences of nDCG between two rankings, mostly 0, alike within a cluster."""
    rng = np.random.default_rng(seed)
    many = {
        "equal": np.full(count, 4),
        "uneven": rng.geometric(0.3, count),
        "one giant": np.array([4 * count // 10, *[4] * (count - 1)]),
    }[sizes]
    clusters = np.repeat(np.arange(count), many)
    ranks = rng.geometric(0.35, (2, len(clusters)))
    scores = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0)
    moved = rng.random(len(clusters)) > zero
    differences = (scores[1] - scores[0]) * moved + 0.05 * rng.normal(size=count)[clusters] * moved
    return differences + 0.03 * moved, clusters


@pytest.mark.parametrize("zero", [0.0, 0.7, 0.95])
@pytest.mark.parametrize("sizes", ["equal", "uneven", "one giant"])
@pytest.mark.parametrize("count", [20, 50, 300])
def test_at_most_3_5_percent_of_2000_sign_flips_by_cluster_are_accepted(
    count: int, sizes: str, zero: float
) -> None:
    differences, clusters = like_a_real_run(count, count, zero=zero, sizes=sizes)
    rng = np.random.default_rng(1)
    accepted = 0
    for part in range(8):
        signs = rng.choice([-1.0, 1.0], size=(clusters.max() + 1, 250))
        flipped = differences[:, None] * signs[clusters]
        found = paired_columns(flipped, clusters, seed=part, resamples=2000)
        accepted += sum(one.low > 0 for one in found)  # stricter than the gate: any size
    assert accepted <= 0.035 * 2000


@pytest.mark.parametrize("zero", [0.0, 0.7])
def test_a_gain_that_is_there_is_found(zero: float) -> None:
    differences, clusters = like_a_real_run(3, 200, zero=zero, sizes="uneven")
    found = paired(differences + 0.05, clusters, seed=0)
    assert found.proven
    assert found.low < found.mean < found.high
    assert found.p < 0.01


def test_the_interval_covers_the_true_mean_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        clusters = np.repeat(np.arange(60), rng.integers(1, 6, 60))
        shared = rng.normal(0, 0.2, 60)[clusters]
        differences = 0.1 + shared + rng.normal(0, 0.2, len(clusters))
        found = paired(differences, clusters, seed=seed, resamples=1000)
        covered += found.low <= 0.1 <= found.high
    assert 0.92 <= covered / 300 <= 0.985


def test_queries_of_one_cluster_do_not_count_as_independent() -> None:
    rng = np.random.default_rng(0)
    shared = np.repeat(rng.normal(0.05, 0.3, 40), 25)
    alone = paired(shared, np.arange(1000), seed=0)
    grouped = paired(shared, np.repeat(np.arange(40), 25), seed=0)
    assert alone.low > 0
    assert grouped.low < 0
    assert (grouped.high - grouped.low) > 3 * (alone.high - alone.low)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([-1, -0.5, -0.37, 0, 0, 0.37, 0.5, 1]), st.integers(0, 12)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 5),
)
def test_interval_and_p_never_contradict_each_other(
    rows: list[tuple[float, int]], seed: int
) -> None:
    differences, clusters = map(np.array, zip(*rows, strict=True))
    found = paired(differences, clusters, seed=seed, resamples=400)
    if found.low > 0 or found.high < 0:
        assert found.p < 0.05
    assert found.low <= found.mean <= found.high
    assert 0 < found.p <= 1
    assert found.wins + found.losses + found.ties == found.queries == len(rows)
    assert np.isfinite([found.low, found.high]).all()
    mirror = paired(-differences, clusters, seed=seed, resamples=400)
    assert mirror.mean == pytest.approx(-found.mean)
    assert mirror.low == pytest.approx(-found.high)
    assert mirror.p == pytest.approx(found.p)


def test_p_agrees_with_all_sign_flips_written_out() -> None:
    rng = np.random.default_rng(4)
    sums = rng.normal(0.3, 1.0, 12)
    total = abs(sums.sum())
    signs = itertools.product([-1, 1], repeat=12)
    exact = np.mean([abs(np.dot(s, sums)) >= total - 1e-12 for s in signs])
    found = paired(sums, np.arange(12), seed=0, resamples=40_000)
    assert found.p == pytest.approx(exact, abs=0.01)


def test_the_same_seed_gives_the_same_result_and_columns_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    matrix, clusters = rng.normal(size=(100, 3)), rng.integers(30, size=100)
    together = paired_columns(matrix, clusters, seed=7)
    alone = paired(matrix[:, 1], clusters, seed=7)
    assert together[1].low == pytest.approx(alone.low, abs=1e-12)
    assert together[1].p == alone.p
    assert paired(matrix[:, 1], clusters, seed=7) == alone
    assert paired(matrix[:, 1], clusters, seed=8).low != alone.low


def test_cluster_numbers_may_be_any_and_in_any_order() -> None:
    rng = np.random.default_rng(0)
    differences, clusters = rng.normal(size=90), rng.integers(30, size=90)
    order = rng.permutation(90)
    one = paired(differences, clusters, seed=0)
    two = paired(differences[order], clusters[order] * 1000 - 7, seed=0)
    assert (one.low, one.high, one.p) == pytest.approx((two.low, two.high, two.p))


def test_few_clusters_are_never_enough_however_clear_the_gain() -> None:
    found = paired(np.full(500, 0.5), np.arange(500) % 19, seed=0)
    assert found.low > 0
    assert not found.enough
    assert not found.proven
    assert "fall into 19 independent groups" in found.reason
    assert paired(np.full(500, 0.5), np.arange(500) % 20, seed=0).enough


def test_one_giant_cluster_among_many_small_ones_is_not_enough() -> None:
    clusters = np.concatenate([np.zeros(300, int), np.arange(1, 100)])
    found = paired(np.full(399, 0.1), clusters, seed=0)
    assert found.clusters == 100
    assert found.effective_clusters < ENOUGH
    assert not found.proven


def test_a_single_cluster_gets_a_finite_interval_that_includes_zero() -> None:
    found = paired([1.0, 0.0, 0.0, 0.0], [5, 5, 5, 5], seed=0)
    assert (found.low, found.high, found.p) == (-0.25, 0.25, 1.0)
    assert "1 independent group," in found.reason


def test_no_change_at_all_is_no_gain() -> None:
    found = paired(np.zeros(100), np.arange(100), seed=0)
    assert (found.mean, found.low, found.high, found.p, found.ties) == (0, 0, 0, 1, 100)
    assert not found.proven


def test_five_gains_among_a_thousand_ties_are_not_a_proof() -> None:
    differences = np.zeros(1000)
    differences[:5] = 1.0
    assert not paired(differences, np.arange(1000), seed=0).proven
    differences[:12] = 1.0
    assert paired(differences, np.arange(1000), seed=0).proven


def test_differences_that_cancel_to_rounding_errors_are_zero() -> None:
    differences = np.tile([0.1, 0.2, -0.3], 40)
    found = paired(differences, np.repeat(np.arange(40), 3), seed=0)
    assert (found.low, found.high, found.p) == (0, 0, 1)


@pytest.mark.parametrize(
    ("differences", "clusters", "resamples", "message"),
    [
        ([], [], 1000, "do not fit"),
        ([0.1], [1, 2], 1000, "do not fit"),
        ([[0.1]], [1], 1000, "is needed"),
        ([np.nan], [1], 1000, "NaN"),
        ([0.1], [1], 99, "99 resamples"),
    ],
)
def test_input_that_cannot_be_meant_is_refused(
    differences: list[float], clusters: list[int], resamples: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired(differences, clusters, seed=0, resamples=resamples)


def test_draws_are_made_in_blocks_whose_size_does_not_grow_with_the_clusters() -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    rng = np.random.default_rng(0)
    differences = rng.normal(size=20_000)
    tracemalloc.start()
    paired(differences, np.arange(20_000), seed=0, resamples=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6  # all at once would be 320 MB of indices and weights
