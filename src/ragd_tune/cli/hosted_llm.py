"""What `adapters activate` and `rollback` say and ask of a language model where ragd is set up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragd_tune.cli.gguf import show
from ragd_tune.cli.output import show_json

if TYPE_CHECKING:
    from ragd_tune.pipeline.llm_hosting import ModelPlan


def activate(
    ref: str, *, exported: Path | None, force: bool, dry_run: bool, yes: bool, json: bool
) -> None:
    """Show what changes in ragd and in Ollama, ask, and do it."""
    from ragd_tune.pipeline.llm_hosting import carry_out, plan_model
    from ragd_tune.pipeline.workshop import workshop

    shop = workshop()
    plan = plan_model(shop, ref, exported, force=force)
    if not json:
        click.echo(plan.diff or f"{plan.config}: nothing changes")
        click.echo(f"{plan.model} is made in Ollama at {plan.host.address}, of {plan.folder}")
    if dry_run:
        if json:
            show_json(to_json(plan))
        return
    if not yes:
        click.confirm("change it?", abort=True, err=True)
    _, found = carry_out(shop, plan, say=lambda line: click.echo(line, err=True))
    if json:
        show_json({**to_json(plan), "answers": [one.to_json() for one in found]})
        return
    show(found)
    click.echo(f"{plan.entry.shown} is the active generator, and ragd's next chat uses it")
    click.echo("the way back: ragd-tune adapters rollback generator")


def roll_back() -> tuple[str, ...]:
    """Take the last activation of a language model back; return what to say of it."""
    from ragd_tune.pipeline.llm_hosting import roll_back as undo
    from ragd_tune.pipeline.workshop import workshop

    change, notes = undo(workshop())
    if change is None:
        return ("ragd's configuration was not part of that activation, and stays",)
    partly = any("was changed since" in note for note in notes)
    return notes if partly else (*notes, f"{change.config} is as it was before")


def to_json(plan: ModelPlan) -> dict[str, object]:
    """Return a plan as a program reads it."""
    return {
        "adapter": plan.entry.id,
        "config": str(plan.config),
        "diff": plan.diff,
        "model": plan.model,
        "address": plan.host.address,
        "folder": str(plan.folder),
    }
