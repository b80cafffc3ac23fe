"""``ragd-tune train auto-tune KIND``: search for the options that train best, on dev."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragd_tune import errors
from ragd_tune.cli import flags, precision
from ragd_tune.cli.other import OPTIONS
from ragd_tune.cli.output import duration, show_json, table
from ragd_tune.cli.train import Kinds, _registry, defaults_by_tuning
from ragd_tune.kinds import ModelKind
from ragd_tune.options import Option
from ragd_tune.pipeline.planning import Request, declared

if TYPE_CHECKING:
    from ragd_tune.cli.progress import Progress
    from ragd_tune.pipeline import Workshop
    from ragd_tune.pipeline.autotuning import Found
    from ragd_tune.pipeline.trials import Search

_PATH = click.Path(path_type=Path)

OWN = {"minutes", "budget"}
"""Options that bound one training by time: here it is the search that ``--minutes`` bounds."""

COMMON: list[click.Parameter] = [
    click.Option(["--data"], type=_PATH, required=True, help="Data set: a folder or a file."),
    click.Option(
        ["--trials"],
        type=click.IntRange(1, 10_000),
        help="Trials in all; 20 if there is no bound of time either.",
    ),
    click.Option(
        ["--minutes"],
        type=click.FloatRange(0.01, 100_000),
        help="Begin no trial that would end later; counts those of earlier calls.",
    ),
    click.Option(
        ["--search"], metavar="A,B,…", default="", help="Options to search; all if not given."
    ),
    click.Option(["--out"], type=_PATH, help="Write the best options to this file, too."),
    click.Option(
        ["--prove"], is_flag=True, help="Then train with the best and prove it on test, once."
    ),
    click.Option(["--name"], help="Name of the adapter that --prove makes."),
    click.Option(["--config"], type=_PATH, help="YAML file with options; these stay as they are."),
    click.Option(["--strict"], is_flag=True, help="Leaked queries are an error in the proof."),
    precision.OPTION,
    *OPTIONS,
    click.Option(["--python"], type=_PATH, help="Interpreter of the training processes."),
    click.Option(["--offline"], is_flag=True, help="Never ask a model hub."),
    click.Option(["--json"], is_flag=True, help="Print JSON."),
]


class _Searches(Kinds):
    """One command a kind."""

    def command_of(self, kind: ModelKind) -> click.Command:
        return click.Command(
            kind.name,
            callback=partial(_run, kind.name),
            params=[*COMMON, *flags.click_options(_options(kind), defaults_by_tuning(kind))],
            help=f"Search for the options that train a {kind.name} best, by {kind.gate_metric} on "
            "dev. What you set yourself stays as it is.",
        )


@click.group(cls=_Searches)
def auto_tune() -> None:
    """Search for the best options on dev: learning rate, rank, temperature, negatives, epochs."""


def _options(kind: ModelKind) -> list[Option]:
    return [one for one in declared(_registry(), kind) if one.name not in OWN]


def _run(kind: str, data: Path, json: bool, **parameters: object) -> int:
    """Search, show, and prove the best where that is wanted."""
    from ragd_tune.cli.progress import Progress
    from ragd_tune.pipeline import workshop
    from ragd_tune.pipeline.autotuning import search

    request = _request(kind, data, parameters)
    out = _free(parameters["out"])
    with Progress(quiet=json) as progress:
        shop = workshop(observe=progress, progress=progress.work)
        found = search(shop, _search(request, parameters), progress.say)
        if out is not None:
            out.write_text(found.config.read_text(encoding="utf-8"), encoding="utf-8")
        if not json:
            _show(found, data, out)
        elif not parameters["prove"]:
            show_json(found.to_json())
        if parameters["prove"]:
            return _prove(shop, request, found, progress, {**parameters, "json": json})
    return errors.DONE


def _request(kind: str, data: Path, parameters: dict[str, object]) -> Request:
    config, python = parameters["config"], parameters["python"]
    return Request(
        kind=kind,
        data=data,
        given=flags.given(_options(_registry().kind(kind)), parameters),
        config=config if isinstance(config, Path) else None,
        offline=True if parameters["offline"] else None,
        python=python if isinstance(python, Path) else None,
    )


def _search(request: Request, parameters: dict[str, object]) -> Search:
    from ragd_tune.pipeline.trials import Search

    trials, minutes = parameters["trials"], parameters["minutes"]
    named = str(parameters["search"]).replace("-", "_").split(",")
    return Search(
        request=request,
        precision=precision.wanted(parameters),
        trials=trials if isinstance(trials, int) else None,
        minutes=minutes if isinstance(minutes, float) else None,
        only=tuple(name.strip() for name in named if name.strip()),
    )


def _free(out: object) -> Path | None:
    """Return the file to write the options to, before hours are spent on finding them."""
    if not isinstance(out, Path):
        return None
    if out.exists():
        raise errors.UsageError(f"--out: {out} is there already", mend="name another file")
    if not out.absolute().parent.is_dir():
        raise errors.UsageError(f"--out: {out.parent} is no folder", mend="make it first")
    return out


def _show(found: Found, data: Path, out: Path | None) -> None:
    names = [axis.name for axis in found.axes]
    table(
        f"Trials on the {found.queries} dev queries ({found.metric})",
        ("trial", *names, "dev", "time", ""),
        (
            (
                one.number + 1,
                *(f"{one.options[name]:g}" for name in names),
                "failed" if one.score is None else f"{one.score:.4f}",
                duration(one.seconds),
                one.failure or _mark(found, one.number),
            )
            for one in found.attempts
        ),
    )
    for line in _sentences(found):
        click.echo(line)
    config = out or found.config
    command = ["ragd-tune", "train", found.planned.kind.name]
    command += ["--data", str(data), "--config", str(config)]
    click.echo(f"the best options are in {config}")
    click.echo(f"train with them:  {shlex.join(command)}")


def _mark(found: Found, number: int) -> str:
    words = ["best"] if number == found.best.number else []
    return ", ".join([*words, *(["the defaults"] if number == 0 else [])])


def _sentences(found: Found) -> list[str]:
    """Return what the scores mean: the best of many is optimistic, and of what size the gain is."""
    base = f"; the base: {found.best.base:.4f}" if found.best.base is not None else ""
    lines = [f"the search is over: {found.ended}{base}"]
    many = (
        f"{found.compared} trials were compared on the same {found.queries} dev queries: the best "
        "of so many looks better there than it is; only test, which was not looked at, tells"
    )
    lines.append(many)
    gain = found.gain
    if gain is None:
        if found.best.number == 0:
            lines.append("no trial beat the defaults on dev")
        return lines
    told = f"on dev {gain.mean:+.4f} against the defaults (95% from {gain.low:+.4f} to "
    told += f"{gain.high:+.4f})"
    if gain.low <= 0:
        told += ": that can be chance, and the defaults may do as well"
    return [*lines, told]


def _prove(
    shop: Workshop,
    request: Request,
    found: Found,
    progress: Progress,
    parameters: dict[str, object],
) -> int:
    from dataclasses import replace

    from ragd_tune.cli.trained import train_and_prove
    from ragd_tune.pipeline.planning import plan
    from ragd_tune.pipeline.training import checkpoints

    planned = plan(shop, replace(request, config=found.config))
    kept = bool(checkpoints(planned.plan.out.parent))
    asked = {**parameters, "split": "test", "resume": kept}
    beside = {"search": found.to_json()}
    as_json = bool(parameters["json"])
    return train_and_prove(shop, planned, progress, asked, as_json=as_json, beside=beside)
