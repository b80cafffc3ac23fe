"""``ragd-tune host``: which model each of ragd's indexes holds, the hook, and re-indexing."""

from __future__ import annotations

from pathlib import Path

import click

from ragd_tune import errors
from ragd_tune.cli.output import show_json, table

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def host() -> None:
    """Show and change how ragd uses what was tuned."""


@host.command()
@_JSON
def status(*, as_json: bool) -> int:
    """Show which model each index holds and which answers; exit 1 if they do not fit."""
    from ragd_tune.pipeline.host_status import host_status
    from ragd_tune.pipeline.workshop import workshop

    told = host_status(workshop())
    if as_json:
        show_json(told.to_json())
    else:
        table("ragd", ("what", "value"), told.rows())
        columns = ("index", "holds", "space", "state", "in use")
        table("Indexes", columns, (one.cells() for one in told.indexes))
        for warning in told.warnings:
            click.echo(f"warning: {warning}")
    return errors.FAILED if told.warnings else errors.DONE


@host.command()
def enable() -> None:
    """Let ragd ask ragd-tune for its models, in this Python environment."""
    from ragd_tune.ragd import hooking

    changed = hooking.enable()
    place = hooking.site_packages()
    click.echo(f"the hook is in {place}" if changed else "the hook was in place already")
    click.echo("the way back: ragd-tune host disable")


@host.command()
def disable() -> None:
    """Take the hook out again, to the last byte."""
    from ragd_tune.ragd import hooking

    click.echo("the hook is gone" if hooking.disable() else "there was no hook")


@host.command()
@click.argument("adapter", required=False)
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="Index to take the chunks from."
)
@click.option("--fresh", is_flag=True, help="Begin anew, not where an earlier try ended.")
@_JSON
def reindex(adapter: str | None, *, source: Path | None, fresh: bool, as_json: bool) -> None:
    """Embed what ragd has indexed into the index of ADAPTER (the active one unless given).

    An index that ragd uses is brought up to date; another one is made ready for
    `adapters activate`. The same command goes on after whatever ended it.
    """
    from ragd_tune.cli.hosted import bar
    from ragd_tune.pipeline.host_index import reindex as run
    from ragd_tune.pipeline.workshop import workshop

    again = " ".join(["ragd-tune host reindex", *([adapter] if adapter else [])])
    again += f" --from {source}" if source else ""
    with bar(0, quiet=as_json, again=again) as step:
        done = run(workshop(), adapter, source=source, fresh=fresh, progress=step)
    if as_json:
        show_json(done.to_json())
    else:
        click.echo(done.sentence)
