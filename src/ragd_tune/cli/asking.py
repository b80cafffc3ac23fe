"""Flags of every command that asks a language model, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ragd_tune.cli.spread import on_cluster, to_others

if TYPE_CHECKING:
    from ragd_tune.pipeline.asking import Asking

_FLAGS: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
    click.option(
        "--endpoint",
        "url",
        default="http://localhost:11434/v1",
        show_default=True,
        metavar="URL",
        help="OpenAI-compatible address of the language model; the default is Ollama's.",
    ),
    click.option(
        "--model", help="Language model; the first that the endpoint offers if not given."
    ),
    to_others,
    on_cluster,
    click.option(
        "--workers",
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        help="Requests at a time; of each machine with --ray.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(1, 3600),
        default=300.0,
        show_default=True,
        help="Seconds of silence before a request is given up.",
    ),
    click.option(
        "--budget-tokens",
        type=click.IntRange(1),
        help="Stop asking after so many tokens, and judging.",
    ),
    click.option(
        "--budget-minutes",
        type=click.FloatRange(0.01, 100_000),
        help="Stop asking after so long, and judging.",
    ),
    click.option("--no-judge", is_flag=True, help="Do not let the language model judge its work."),
)


def asks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the flags; it takes them as keywords, for :func:`asking_of`."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def asking_of(given: dict[str, Any]) -> Asking:
    """Take the flags' values out of ``given``, and return whom to ask and how."""
    from ragd_tune.data.llm import Budget
    from ragd_tune.pipeline.asking import Asking

    minutes = given.pop("budget_minutes")
    return Asking(
        url=given.pop("url"),
        model=given.pop("model"),
        allow_remote=given.pop("allow_remote"),
        workers=given.pop("workers"),
        timeout=given.pop("timeout"),
        judged=not given.pop("no_judge"),
        budget=Budget(tokens=given.pop("budget_tokens"), seconds=minutes and minutes * 60),
    )
