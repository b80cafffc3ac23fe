"""The page of every command and flag."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import click
from tools.reference.markdown import table

from ragd_tune import cli
from ragd_tune.cli import auto_tune, precision, train
from ragd_tune.cli.other import OPTIONS as OTHER

_KINDS = (
    "KIND is a kind of model that is installed, such as `bi-encoder`. Each of the "
    "[options](options.md) is a flag too, for example `--learning-rate 1e-4`."
)


_JUDGING = (
    "The [options](options.md) of the proof of the adapter's kind are flags too, as "
    "`--first-stage` and `--candidates` of a reranker."
)


def commands() -> str:
    """Return the page of every command and flag."""
    parts = [
        "# Commands",
        "Every command has `--help`. Those that report have `--json`, which alone goes to standard "
        "output. [Exit codes](exit-codes.md) are the same everywhere.",
        f"```text\n{chr(10).join(f'ragd-tune {n:9} {_summary(n)}' for n in cli.COMMANDS)}\n```",
    ]
    context = click.Context(cli.group)
    for name in cli.COMMANDS:
        command = cli.group.get_command(context, name)
        assert command is not None
        parts += _command(command, f"ragd-tune {name}")
    return "\n\n".join(parts)


def _summary(name: str) -> str:
    command = cli.group.get_command(click.Context(cli.group), name)
    return command.get_short_help_str(200) if command else ""


def _command(command: click.Command, path: str) -> list[str]:
    if path == "ragd-tune train":
        tuned = "ragd-tune train auto-tune KIND"
        return [
            *_shown(command, "ragd-tune train KIND", train._COMMON),
            _KINDS,
            *_shown(auto_tune.auto_tune, tuned, auto_tune.COMMON),
            _KINDS,
        ]
    if path == "ragd-tune evaluate":
        return [*_shown(command, path, [*command.params, *OTHER, precision.OPTION]), _JUDGING]
    if isinstance(command, click.Group):
        parts = [f"## {path}", command.help or ""]
        for sub in command.commands.values():
            parts += _command(sub, f"{path} {sub.name}")
        return parts
    return _shown(command, path, command.params)


def _shown(command: click.Command, path: str, params: Sequence[click.Parameter]) -> list[str]:
    words = [_argument(one) for one in params if isinstance(one, click.Argument)]
    flags = [one for one in params if isinstance(one, click.Option)]
    level = "##" if path.count(" ") == 1 or "KIND" in path else "###"
    usage = " ".join([path, *words, "[OPTIONS]"])
    rows = [(f"`{', '.join(one.opts)}`", _takes(one), one.help or "", _shows(one)) for one in flags]
    head = ("flag", "takes", "what it does", "default")
    return [
        f"{level} {path}",
        inspect.cleandoc(command.help or ""),
        f"```text\n{usage}\n```",
        table(head, rows),
    ]


def _argument(one: click.Argument) -> str:
    name = (one.name or "").upper()
    return name if one.required else f"[{name}]"


def _takes(one: click.Option) -> str:
    if one.is_flag:
        return ""
    if isinstance(one.type, click.Choice):
        return ", ".join(map(str, one.type.choices))
    if isinstance(one.type, click.IntRange):
        upwards = "on" if one.type.max is None else f"to {one.type.max:,}"
        return f"a whole number from {one.type.min} {upwards}"
    if isinstance(one.type, click.FloatRange):
        return f"a number from {one.type.min:g} to {one.type.max:g}"
    return one.metavar or {"integer": "N", "float": "X"}.get(one.type.name, one.type.name.upper())


def _shows(one: click.Option) -> str:
    if one.required:
        return "needed"
    return f"`{one.default}`" if one.show_default and not one.is_flag else ""
