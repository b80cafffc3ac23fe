"""``ragd-tune train KIND``: one sub-command for every kind of model that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

import click

from ragd_tune import errors
from ragd_tune.cli import flags, precision
from ragd_tune.cli.budget import show_weighing
from ragd_tune.cli.other import OPTIONS
from ragd_tune.cli.output import show_json, table
from ragd_tune.cli.page import REPORT_HELP
from ragd_tune.kinds import ModelKind, Profile
from ragd_tune.pipeline.planning import Planned, Request, declared, plan
from ragd_tune.plan import Side
from ragd_tune.registry import Registry, discover

_PATH = click.Path(path_type=Path)
AUTO_TUNE = "auto-tune"
FEW_AND_MANY = (500, 50_000)
"""Rows of which defaults are shown that depend on their number."""


@cache
def _registry() -> Registry:
    return discover()


class Kinds(click.Group):
    """One command a kind; a broken plugin's command says what is wrong with it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the kinds that are installed."""
        return list(_registry().kinds)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Make the command of the kind ``name``."""
        return self.command_of(_registry().kind(name))

    def command_of(self, kind: ModelKind) -> click.Command:
        """Return what trains ``kind``."""
        return _command(kind)


class _Train(Kinds):
    """The kinds, and the search over their options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), AUTO_TUNE]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name != AUTO_TUNE:
            return super().get_command(ctx, name)
        from ragd_tune.cli.auto_tune import auto_tune

        return auto_tune


@click.group(cls=_Train)
def train() -> None:
    """Fine-tune a model, prove the result, and keep it."""


def _command(kind: ModelKind) -> click.Command:
    options = declared(_registry(), kind)
    return click.Command(
        kind.name,
        callback=partial(_run, kind.name),
        params=[
            *_COMMON,
            *flags.click_options(options, defaults_by_tuning(kind)),
        ],
        help=f"{kind.title}. It has to beat {kind.incumbent} by {kind.gate_metric}.",
    )


def defaults_by_tuning(kind: ModelKind) -> dict[str, Mapping[str, object]]:
    """Return the kind's defaults by tuning, for a middling machine: the help shows them."""

    def of(tuning: str, rows: int) -> Mapping[str, object]:
        side: Side = "query" if tuning == "map" else "both"  # a map has no other side
        return kind.defaults(
            Profile(tuning=tuning, side=side, rows=rows, device="cpu", cores=2, memory=0)
        )

    made: dict[str, Mapping[str, object]] = {}
    for tuning in kind.tunings:
        few, many = (of(tuning, rows) for rows in FEW_AND_MANY)
        made[tuning] = {
            name: value if value == many[name] else f"{value} of few rows, {many[name]} of many"
            for name, value in few.items()
        }
    return made


_COMMON: list[click.Parameter] = [
    click.Option(["--data"], type=_PATH, required=True, help="Data set: a folder or a file."),
    click.Option(["--name"], help="Name of the adapter in the store."),
    click.Option(["--config"], type=_PATH, help="YAML file with options."),
    click.Option(["--resume"], is_flag=True, help="Go on from the last checkpoint."),
    click.Option(["--fresh"], is_flag=True, help="Start again, whatever was kept."),
    click.Option(["--split"], default="test", show_default=True, help="Split of the proof."),
    click.Option(["--no-proof"], is_flag=True, help="Do not compare the result with the base."),
    click.Option(["--strict"], is_flag=True, help="Leaked queries are an error."),
    click.Option(["--report"], type=_PATH, help=REPORT_HELP),
    *OPTIONS,
    precision.OPTION,
    click.Option(["--show-plan"], is_flag=True, help="Show every option and its source; stop."),
    click.Option(["--python"], type=_PATH, help="Interpreter of the training process."),
    click.Option(["--offline"], is_flag=True, help="Never ask a model hub."),
    click.Option(["--json"], is_flag=True, help="Print JSON."),
]


def _run(kind: str, data: Path, json: bool, **parameters: object) -> int:
    from ragd_tune.cli.progress import Progress
    from ragd_tune.pipeline import workshop

    if parameters["resume"] and parameters["fresh"]:
        raise errors.UsageError("--resume and --fresh exclude each other", mend="take one")
    config = parameters["config"]
    request = Request(
        kind=kind,
        data=data,
        given=flags.given(declared(_registry(), _registry().kind(kind)), parameters),
        config=config if isinstance(config, Path) else None,
        offline=True if parameters["offline"] else None,  # else as HF_HUB_OFFLINE says
        python=python if isinstance(python := parameters["python"], Path) else None,
    )
    with Progress(quiet=json) as progress:
        shop = workshop(observe=progress, progress=progress.work)
        planned = plan(shop, request)
        if parameters["show_plan"]:
            _show_plan(planned, as_json=json)
            return errors.DONE
        from ragd_tune.cli.trained import train_and_prove

        return train_and_prove(shop, planned, progress, parameters, as_json=json)


def _show_plan(planned: Planned, *, as_json: bool) -> None:
    if as_json:
        show_json(planned.to_json())
        return
    made = planned.plan
    table(
        f"Plan {made.id[:12]}",
        ("what", "value"),
        (
            ("kind", made.kind),
            ("trains", f"{made.objective} by {made.tuning}, {made.side}"),
            ("backend", f"{made.backend} on {made.device}"),
            ("base", f"{made.base.name} ({made.base.source}: {made.base.path})"),
            ("rows", f"{len(planned.rows.train)} to train, {len(planned.rows.dev)} held out"),
        ),
    )
    if made_for := planned.weighing:
        show_weighing(made_for)
    table(
        "Options",
        ("option", "value", "from"),
        (
            (name, flags.show(one.value), one.where if one.source != "default" else "default")
            for name, one in sorted(planned.settings.items())
        ),
    )
