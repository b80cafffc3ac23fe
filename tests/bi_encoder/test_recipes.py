"""Recipes for a budget stand on measured figures, and name options that a training reads."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

import pytest

from ragd_tune.kinds import HasRecipes, Recipe
from ragd_tune.options import CONTRASTIVE, RUN
from ragd_tune_bi_encoder.kind import BiEncoder
from ragd_tune_bi_encoder.recipes import MANY, RECIPES, SOME

SETS = ("medquad", "nl2bash", "apibench", "stdlib", "average")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "recipes.md"


def words(recipe: Recipe) -> list[str]:
    """Return the words that the recipe's row of the page has."""
    negatives, length = recipe.options["negatives"], recipe.options["training_length"]
    some = f"{negatives} mined negative" if negatives else "no mined negative"
    if recipe.rows_from == MANY:
        return ["| batch 128, 2e-4", some]
    tokens = f"{length} tokens"
    if length == 64 and negatives != 4:  # a table that is about these alone
        return [f"| {some}"]
    epochs = "1 epoch," if recipe.epochs == 1 else f"{recipe.epochs:g} epochs,"
    return [
        f"| {epochs} full, 0.0001",
        *([some] if negatives else []),
        *([tokens] if length else []),
    ]


def figures(line: str) -> dict[str, float]:
    """Return the figures of a row by their set, the first seed of several."""
    cells = [re.findall(r"(?<![\d.])\.\d{4}\b", cell) for cell in line.split("|")[2:]]
    return {name: float(found[0]) for name, found in zip(SETS, cells, strict=False) if found}


def told(recipe: Recipe, line: str) -> float | None:
    """Return the score that a row of the page gives the recipe."""
    found = figures(line)
    if recipe.rows_from == MANY:
        seeds = re.findall(r"(?<!\d)\.\d{4}", line)
        return fmean(map(float, seeds)) if len(seeds) == 2 else None
    if recipe.rows_from == SOME:
        return found.get("medquad")
    both = [found[name] for name in ("apibench", "stdlib") if name in found]
    return fmean(both) if len(both) == 2 else None


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: f"{one.rows_from}-{one.score}")
def test_every_score_is_that_of_a_row_of_the_page(recipe: Recipe) -> None:
    lines = PAGE.read_text(encoding="utf-8").replace("*", "").splitlines()
    rows = [line for line in lines if all(word in line for word in words(recipe))]
    scores = [told(recipe, line) for line in rows]
    assert any(score is not None and abs(score - recipe.score) < 6e-5 for score in scores)


@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("rows", [1, SOME - 1, SOME, MANY - 1, MANY, 10 * MANY])
def test_there_is_a_recipe_for_every_number_of_rows(rows: int, tuning: str) -> None:
    found = [one for one in RECIPES if one.rows_from <= rows < one.rows_below]
    assert any(tuning in one.tunings for one in found)
    assert any(one.options["negatives"] for one in found) == (rows < MANY)


def test_recipes_set_options_of_a_training_within_their_ranges() -> None:
    options = {one.name: one for one in (*RUN, *CONTRASTIVE)}
    assert isinstance(BiEncoder(), HasRecipes)
    for recipe in BiEncoder().recipes:
        for name, value in recipe.options.items():
            assert options[name].parse(value, where="a recipe") == value


def test_no_recipe_is_there_twice() -> None:
    seen = {(one.tunings, one.rows_from, *sorted(map(str, one.options.items()))) for one in RECIPES}
    assert len(seen) == len(RECIPES)
