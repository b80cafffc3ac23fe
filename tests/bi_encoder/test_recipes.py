"""Recipes for a budget stand on measured figures, and name options that a training reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragd_tune.kinds import HasRecipes, Recipe
from ragd_tune.options import CONTRASTIVE, RUN
from ragd_tune_bi_encoder.kind import BiEncoder
from ragd_tune_bi_encoder.recipes import RECIPES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "recipes.md"


def row(recipe: Recipe) -> list[str]:
    """Return the words that the recipe's row of the page has."""
    negatives, length = recipe.options["negatives"], recipe.options["training_length"]
    epochs = "1 epoch," if recipe.epochs == 1 else f"{recipe.epochs:g} epochs,"
    words = [f"| {epochs} full, 0.0001"]
    words += [f"{negatives} mined negative"] if negatives else []
    words += [f"{length} tokens"] if length else []
    return words


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: f"{one.score}")
def test_every_score_is_the_average_of_a_row_of_the_page(recipe: Recipe) -> None:
    score = f"{recipe.score:.4f}".lstrip("0")
    lines = PAGE.read_text(encoding="utf-8").replace("*", "").splitlines()
    rows = [line for line in lines if line.rstrip().endswith(f"| {score} |")]
    assert any(all(word in line for word in row(recipe)) for line in rows)


def test_recipes_set_options_of_a_training_within_their_ranges() -> None:
    options = {one.name: one for one in (*RUN, *CONTRASTIVE)}
    assert isinstance(BiEncoder(), HasRecipes)
    for recipe in BiEncoder().recipes:
        for name, value in recipe.options.items():
            assert options[name].parse(value, where="a recipe") == value


def test_no_recipe_is_there_twice() -> None:
    seen = {(one.tunings, *sorted(map(str, one.options.items()))) for one in RECIPES}
    assert len(seen) == len(RECIPES)
