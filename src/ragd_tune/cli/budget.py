"""How a budget was planned: which recipes were weighed, and which was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragd_tune.cli.output import duration, table

if TYPE_CHECKING:
    from ragd_tune.training.recipes import Weighing


def show_weighing(weighing: Weighing) -> None:
    """Print what a plan says of its budget."""
    from ragd_tune.training.recipes import named

    if weighing.weighed:
        table(
            f"Recipes for {duration(weighing.budget)}, of which "
            f"{duration(max(weighing.left, 0))} are left for mining and steps",
            ("recipe", "measured on dev", "would take", ""),
            (
                (
                    named(one.recipe),
                    f"{one.recipe.score:.4f}",
                    duration(one.seconds),
                    "taken" if one.recipe is weighing.chosen else "" if one.fits else "too long",
                )
                for one in weighing.weighed
            ),
        )
    click.echo(sentence(weighing))


def sentence(weighing: Weighing) -> str:
    """Return which recipe was taken, and why."""
    return f"budget {duration(weighing.budget)}: {weighing.reason}"
