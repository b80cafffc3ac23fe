"""Which of a kind's measured recipes is best for the time there is: pure functions.

A recipe's time follows from few measured steps: a step's time grows with the characters that it
reads. That is good enough to choose by. What is chosen is measured again, by itself, and the clock
has the last word, so that a wrong guess makes the choice worse and not the training late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ragd_tune.kinds import Recipe
from ragd_tune.objectives import Row
from ragd_tune.options import Value

LETTERS = 5
"""Characters of a token, about: as in :func:`ragd_tune.training.course.cost`."""

FORWARD = 0.4
"""What embedding a text takes of training on it, about: a pass back takes twice a pass forward,
less where only a few weights learn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A recipe and the seconds that it would take here, mining and all of its passes included."""

    recipe: Recipe
    seconds: float
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Which recipes were compared for a budget, and which was chosen; None where none was measured.

    ``left`` are the seconds that were left for mining and steps; ``given`` names options that the
    user set, for which recipes were left out; ``reason`` is one sentence.
    """

    budget: float
    left: float
    weighed: tuple[Weighed, ...] = ()
    chosen: Recipe | None = None
    given: tuple[str, ...] = ()
    reason: str

    def to_json(self) -> dict[str, object]:
        """Return what ``--show-plan --json`` shows."""
        return {
            "seconds": self.budget,
            "seconds_left": self.left,
            "reason": self.reason,
            "recipes": [
                {
                    "options": dict(one.recipe.options),
                    "score": one.recipe.score,
                    "seconds": one.seconds,
                    "fits": one.fits,
                    "chosen": one.recipe is self.chosen,
                }
                for one in self.weighed
            ],
        }


def agreeing(
    recipes: Iterable[Recipe], given: Mapping[str, Value], *, mines: bool
) -> tuple[Recipe, ...]:
    """Return the recipes that contradict nothing that the user gave.

    :param mines: whether there are negatives, or will be: those that need some are left out else.
    """
    return tuple(
        one
        for one in recipes
        if all(given[name] == value for name, value in one.options.items() if name in given)
        and (mines or not one.options.get("negatives"))
    )


def characters(rows: Sequence[Row], *, negatives: int, length: int) -> float:
    """Return how many characters a pass over ``rows`` reads, with so many negatives each.

    Negatives that a row does not have are taken to be as long as its positive; texts end at
    ``length`` tokens.
    """
    limit = LETTERS * length
    total = 0.0
    for row in rows:
        positive = min(limit, len(str(row.get("positive", ""))))
        found = row.get("negatives")
        texts = found if isinstance(found, (list, tuple)) else ()
        own = [min(limit, len(str(text))) for text in islice(texts, negatives)]
        total += min(limit, len(str(row.get("query", "")))) + positive
        total += sum(own) + (negatives - len(own)) * positive
    return total


def weigh(
    recipes: Iterable[Recipe], seconds_of: Callable[[Recipe], float], left: float
) -> tuple[tuple[Weighed, ...], Weighed]:
    """Return all recipes, the best first, and the one to take.

    That is the best one that fits whole; where none does, the one of which most can be done.
    """
    weighed = sorted(
        (
            Weighed(recipe=one, seconds=seconds, fits=seconds <= left)
            for one in recipes
            for seconds in [seconds_of(one)]
        ),
        key=lambda one: (-one.recipe.score, one.seconds),
    )
    fitting = [one for one in weighed if one.fits]
    taken = fitting[0] if fitting else min(weighed, key=lambda one: one.seconds)
    return tuple(weighed), taken


def passes(taken: Recipe, recipes: Iterable[Recipe]) -> float:
    """Return how many epochs to allow: those of the longest recipe that differs in nothing else.

    What was measured to gain by longer training goes on for as long as there is time.
    """
    same = [one for one in recipes if _apart_from_epochs(one) == _apart_from_epochs(taken)]
    return max(one.epochs for one in same if one.score >= taken.score)


def _apart_from_epochs(recipe: Recipe) -> dict[str, Value]:
    return {name: value for name, value in recipe.options.items() if name != "epochs"}


def named(recipe: Recipe) -> str:
    """Return a recipe in words: ``4 negatives, 0.5 epochs, texts of 128 tokens``."""
    length, negatives = recipe.options.get("training_length"), recipe.options.get("negatives", 0)
    return ", ".join(
        (
            f"{negatives or 'no'} {'negative' if negatives == 1 else 'negatives'}",
            f"{recipe.epochs:g} {'epoch' if recipe.epochs == 1 else 'epochs'}",
            f"texts of {length} tokens" if length else "whole texts",
        )
    )
