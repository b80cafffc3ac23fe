"""``--other``, ``--no-forgetting`` and ``--forgetting-tolerance`` of commands that prove."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragd_tune import errors

if TYPE_CHECKING:
    from ragd_tune.data import DataSet
    from ragd_tune.pipeline import Other
    from ragd_tune.store import Store

OFF = "RAGD_TUNE_NO_FORGETTING"
"""Environment variable that does what ``--no-forgetting`` does."""

OPTIONS: list[click.Parameter] = [
    click.Option(
        ["--other"],
        type=click.Path(path_type=Path),
        help="Data set of another domain, for what is forgotten; a sample of Python's library.",
    ),
    click.Option(
        ["--no-forgetting"],
        is_flag=True,
        envvar=OFF,
        help="Do not look at what is forgotten elsewhere.",
    ),
    click.Option(
        ["--forgetting-tolerance"],
        type=click.FloatRange(0, 1),
        default=0.02,
        show_default=True,
        help="Loss elsewhere that is allowed.",
    ),
]


def other(store: Store, parameters: Mapping[str, object]) -> Other | None:
    """Return the other domain that the flags ask for; None where it is not wanted.

    :raises UsageError: flags that exclude each other.
    """
    from ragd_tune.pipeline import Other

    named, tolerance = parameters["other"], float(str(parameters["forgetting_tolerance"]))
    if isinstance(named, Path):
        if parameters["no_forgetting"]:
            raise errors.UsageError(
                "--other and --no-forgetting exclude each other", mend="take one"
            )
        return Other(open=lambda: _read(named), tolerance=tolerance, asked=True)
    if parameters["no_forgetting"]:
        return None
    from ragd_tune.demo.elsewhere import elsewhere

    return Other(open=lambda: elsewhere(store), tolerance=tolerance)


def _read(path: Path) -> DataSet:
    from ragd_tune.data import read

    return read(path)
