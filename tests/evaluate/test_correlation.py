from __future__ import annotations

import numpy as np
import pytest

from ragd_tune.errors import DataError
from ragd_tune.evaluate.correlation import ranks, shares, spearman
from ragd_tune.evaluate.dominance import both_above

DRAW = np.random.default_rng(0)


def test_equal_values_share_their_mean_rank() -> None:
    assert ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_without_ties_it_is_the_textbooks_formula() -> None:
    one, two = DRAW.permutation(50), DRAW.permutation(50)
    squares = ((ranks(one) - ranks(two)) ** 2).sum()
    assert spearman(one, two) == pytest.approx(1 - 6 * squares / (50 * (50**2 - 1)))


def test_an_order_that_is_right_is_1_and_one_that_is_turned_is_minus_1() -> None:
    wanted = [0.0, 0.2, 0.2, 0.9]
    assert spearman([1.0, 2.0, 2.0, 30.0], wanted) == pytest.approx(1.0)
    assert spearman([9.0, 5.0, 5.0, -1.0], wanted) == pytest.approx(-1.0)


def test_the_shares_of_all_pairs_have_the_correlation_as_their_mean() -> None:
    wanted = DRAW.integers(0, 5, 60) / 4
    found = wanted + DRAW.normal(0, 0.5, 60)
    assert shares(found, wanted).mean() == pytest.approx(spearman(found, wanted))


@pytest.mark.parametrize("seed", range(40))
def test_a_share_is_what_the_jackknife_makes_of_leaving_the_pair_out(seed: int) -> None:
    draw = np.random.default_rng(seed)
    count, levels = int(draw.integers(3, 40)), int(draw.integers(2, 9))
    wanted = np.r_[0.0, 1.0, draw.integers(0, levels, count) / 2]  # never all the same but one
    wanted = np.r_[wanted, wanted[:2]]
    found = np.round(wanted + draw.normal(0, 0.5, len(wanted)), int(draw.integers(0, 3)))
    n = len(wanted)
    without = np.array([spearman(np.delete(found, i), np.delete(wanted, i)) for i in range(n)])
    expected = spearman(found, wanted) + (n - 1) * (without.mean() - without)
    np.testing.assert_allclose(shares(found, wanted), expected, rtol=0, atol=1e-9)


def test_leaving_the_only_different_pair_out_leaves_no_correlation() -> None:
    wanted, found = np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.1, 0.4, 0.9, 0.2])
    expected = 0.7745966692  # Pearson of the ranks
    without = np.array([spearman(np.delete(found, i), np.delete(wanted, i)) for i in (0, 1, 3)])
    without = np.insert(without, 2, 0.0)
    again = expected + 3 * (without.mean() - without)
    np.testing.assert_allclose(shares(found, wanted), again, rtol=0, atol=1e-9)


def test_points_above_on_both_axes_are_those_that_a_comparison_of_all_finds() -> None:
    draw = np.random.default_rng(7)
    for size, most in ((0, 1), (1, 1), (37, 5), (200, 300)):
        one, two = draw.integers(0, most, (2, size))
        at, beside = draw.integers(-1, most + 2, (2, 50))
        slow = [((one > i) & (two > j)).sum() for i, j in zip(at, beside, strict=True)]
        assert both_above(one, two, at, beside).tolist() == slow


def test_many_pairs_take_no_more_memory_or_time_than_a_sort_would() -> None:
    draw = np.random.default_rng(3)
    wanted = draw.integers(0, 100, 200_000) / 100
    found = wanted + draw.normal(0, 0.3, len(wanted))
    # All pairs against all would be 40 billion comparisons: minutes, and no test would end.
    assert shares(found, wanted).mean() == pytest.approx(spearman(found, wanted))


def test_a_model_that_says_the_same_of_all_pairs_has_no_correlation() -> None:
    assert spearman([0.5] * 4, [0.0, 0.1, 0.2, 0.3]) == 0.0


@pytest.mark.parametrize(
    ("wanted", "why"), [([0.5] * 4, "the same score"), ([0.0, 1.0], "have no order")]
)
def test_what_has_no_order_is_an_error_that_says_so(wanted: list[float], why: str) -> None:
    with pytest.raises(DataError, match=why):
        shares(np.arange(len(wanted)), wanted)
