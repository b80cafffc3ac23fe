"""A proof on a terminal: what was compared, the numbers, the sentence, what moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragd_tune.cli.output import table
from ragd_tune.evaluate.metrics import title

if TYPE_CHECKING:
    from ragd_tune.evaluate import Report
    from ragd_tune.evaluate.report import Cell, Moved

_WORDS = {"all": "all queries", "known": "on known documents", "new": "on new documents"}


def show_report(report: Report, *, moved: int = 3) -> None:
    """Print ``report``, with up to ``moved`` queries that gained and as many that lost."""
    table(
        f"{report.candidate} against {report.incumbent}"
        + (", on generated questions" if report.generated else ""),
        ("queries", "metric", "before", "after", "difference", "95% interval", "p", "n"),
        (_row(cell) for cell in report.cells),
    )
    _show_kept(report)
    _show_moved("gained most", report.gained[:moved])
    _show_moved("lost most", report.lost[:moved])
    click.echo(report.sentence)


def show_refusal(report: Report, adapter: str) -> None:
    """Say why ``adapter`` did not pass, and what can be done with it; nothing if it passed."""
    if report.passed:
        return
    click.echo(f"refused: {report.reason}")
    click.echo(f"adapter {adapter} is kept, and `adapters activate` takes it with --force only")
    click.echo(f"look at the proof:  ragd-tune adapters report {adapter} proof.html")


def _show_kept(report: Report) -> None:
    """Print how much of the whole vectors' score cut ones keep."""
    if report.kept:
        told = ", ".join(f"{share:.1%} at {size}" for size, share in report.kept.items())
        click.echo(f"of {title(report.gate_metric)} the adapter keeps {told} dimensions")


def _row(cell: Cell) -> tuple[str, ...]:
    told = cell.difference
    metric = cell.metric if cell.dims is None else f"{cell.metric} ({cell.dims} dim.)"
    return (
        _WORDS[cell.part],
        metric,
        f"{cell.before:.4f}",
        f"{cell.after:.4f}",
        f"{told.mean:+.4f}",
        f"{told.low:+.4f} … {told.high:+.4f}",
        f"{told.p:.4f}",
        str(told.queries),
    )


def _show_moved(heading: str, moved: tuple[Moved, ...]) -> None:
    if not moved:
        return
    click.echo(f"{heading}:")
    for one in moved:
        text = one.text if len(one.text) <= 90 else f"{one.text[:89]}…"
        click.echo(f"  {_rank(one.rank_before):>10} → {_rank(one.rank_after):<10} {text}")


def _rank(rank: int | None) -> str:
    return "not found" if rank is None else f"rank {rank}"
