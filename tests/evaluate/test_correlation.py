from __future__ import annotations

import numpy as np
import pytest

from ragd_tune.errors import DataError
from ragd_tune.evaluate.correlation import ranks, shares, spearman

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


def test_a_share_is_what_the_jackknife_makes_of_leaving_the_pair_out() -> None:
    wanted = DRAW.integers(0, 3, 20) / 2
    found = np.round(wanted + DRAW.normal(0, 0.5, 20), 1)
    without = np.array([spearman(np.delete(found, i), np.delete(wanted, i)) for i in range(20)])
    expected = spearman(found, wanted) + 19 * (without.mean() - without)
    np.testing.assert_allclose(shares(found, wanted), expected, rtol=0, atol=1e-9)


def test_a_model_that_says_the_same_of_all_pairs_has_no_correlation() -> None:
    assert spearman([0.5] * 4, [0.0, 0.1, 0.2, 0.3]) == 0.0


@pytest.mark.parametrize(
    ("wanted", "why"), [([0.5] * 4, "the same score"), ([0.0, 1.0], "have no order")]
)
def test_what_has_no_order_is_an_error_that_says_so(wanted: list[float], why: str) -> None:
    with pytest.raises(DataError, match=why):
        shares(np.arange(len(wanted)), wanted)
