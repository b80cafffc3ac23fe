"""Options that the core, kinds and backends declare, as flags of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from ragd_tune.options import CHOICES, Option


def click_options(
    options: Iterable[Option], kind_defaults: Mapping[str, Mapping[str, object]]
) -> list[click.Parameter]:
    """Return one flag an option. Values stay texts: :meth:`Option.parse` reads every source.

    ``kind_defaults`` maps a tuning to the kind's defaults under it, for the help.
    """
    return [
        click.Option(
            [option.flag, parameter(option)],
            type=click.UNPROCESSED,
            default=None,
            metavar=_metavar(option),
            help=f"{option.help}; {option.range} [{_default(option, kind_defaults)}]",
        )
        for option in options
    ]


def parameter(option: Option) -> str:
    """Return the Python name of an option's flag."""
    return "opt_" + option.name.replace(".", "_").replace("-", "_")


def given(options: Iterable[Option], parameters: Mapping[str, object]) -> dict[str, object]:
    """Return what the command line set, by option name."""
    return {option.name: parameters.get(parameter(option)) for option in options}


def _metavar(option: Option) -> str:
    if option.choices:
        return "|".join(option.choices)
    return {"int": "N", "float": "X", "bool": "YES|NO", "str": "TEXT", "duration": "TIME"}.get(
        option.type, "A,B,…"
    )


def _default(option: Option, kind_defaults: Mapping[str, Mapping[str, object]]) -> str:
    by_tuning = {
        tuning: defaults[option.name]
        for tuning, defaults in kind_defaults.items()
        if option.name in defaults
    }
    if len({str(value) for value in by_tuning.values()}) > 1:
        return "default: " + ", ".join(f"{t} {show(v)}" for t, v in by_tuning.items())
    if by_tuning:
        return f"default: {show(next(iter(by_tuning.values())))}"
    if option in CHOICES and option.default is None:
        return "default: chosen"
    return f"default: {show(option.default)}"


def show(value: object) -> str:
    """Return an option's value as a user would type it."""
    if value is None:
        return "not set"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
