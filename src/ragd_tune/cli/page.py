"""``--report FILE`` of ``train`` and ``evaluate``: asked for early, written at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ragd_tune.store import Store

REPORT_HELP = "Write a report of the proof to this file: .html, .json, .svg or .png."


def check_page(path: Path | None) -> None:
    """Refuse a file that no report can be written to, before any work is done.

    :raises UsageError: its ending or its folder.
    """
    if path is not None:
        from ragd_tune.report import check

        check(path)


def write_page(store: Store, content_id: str, path: Path | None) -> None:
    """Write the report of the last proof, if it was asked for, and say where."""
    if path is not None:
        from ragd_tune.pipeline.reporting import write_report

        write_report(store, content_id, path)
        click.echo(f"report: {path}", err=True)
