"""The best recipe that fits is taken, and what a user set is never in question."""

from __future__ import annotations

import pytest

from ragd_tune.kinds import Recipe
from ragd_tune.training.recipes import agreeing, characters, named, passes, weigh


def recipe(negatives: int, epochs: float, score: float, length: int | None = None) -> Recipe:
    options = {"negatives": negatives, "epochs": epochs, "training_length": length}
    return Recipe(options=options, score=score, objective="contrastive", tunings=("full",))


LONG, HALF, PLAIN = recipe(4, 1.0, 0.66), recipe(4, 0.5, 0.65), recipe(0, 1.0, 0.61)
SHORT = recipe(4, 1.0, 0.655, 64)
ALL = (PLAIN, HALF, SHORT, LONG)


def seconds(one: Recipe) -> float:
    return one.epochs * 10 * (1 + int(str(one.options["negatives"])))


@pytest.mark.parametrize(
    ("left", "wanted"), [(1000.0, LONG), (50.0, LONG), (49.0, HALF), (24.0, PLAIN)]
)
def test_the_best_one_that_fits_whole_is_taken(left: float, wanted: Recipe) -> None:
    weighed, taken = weigh((PLAIN, HALF, LONG), seconds, left)
    assert taken.recipe is wanted
    assert taken.fits
    assert [one.recipe.score for one in weighed] == [0.66, 0.65, 0.61]


def test_where_none_fits_the_one_is_taken_of_which_most_can_be_done() -> None:
    _, taken = weigh(ALL, seconds, 2.0)
    assert taken.recipe is PLAIN
    assert not taken.fits


def test_more_passes_are_allowed_where_they_were_measured_to_gain() -> None:
    assert passes(HALF, ALL) == 1.0
    assert passes(LONG, ALL) == 1.0
    assert passes(SHORT, ALL) == 1.0
    worse = recipe(4, 3.0, 0.60)
    assert passes(LONG, (*ALL, worse)) == 1.0


def test_recipes_that_contradict_what_the_user_set_are_out() -> None:
    found = agreeing(ALL, {"negatives": 4, "learning_rate": 1e-5}, mines=True)
    assert found == (HALF, SHORT, LONG)
    assert agreeing(ALL, {"negatives": 3}, mines=True) == ()
    assert agreeing(ALL, {"training_length": 64}, mines=True) == (SHORT,)


def test_without_negatives_to_be_had_recipes_that_need_some_are_out() -> None:
    assert agreeing(ALL, {}, mines=False) == (PLAIN,)


def test_a_step_reads_its_texts_up_to_their_length_and_negatives_like_positives() -> None:
    rows = [{"query": "q" * 10, "positive": "p" * 100, "negatives": ["n" * 20]}]
    assert characters(rows, negatives=0, length=1000) == 110
    assert characters(rows, negatives=1, length=1000) == 130
    assert characters(rows, negatives=3, length=1000) == 330
    assert characters(rows, negatives=0, length=10) == 60


def test_a_recipe_is_told_in_words() -> None:
    assert named(HALF) == "4 negatives, 0.5 epochs, whole texts"
    assert named(recipe(1, 1.0, 0.6, 64)) == "1 negative, 1 epoch, texts of 64 tokens"
    assert named(PLAIN) == "no negatives, 1 epoch, whole texts"
