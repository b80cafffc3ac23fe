"""Numbers as people read them, and names of parts and metrics."""

from __future__ import annotations

from ragd_tune.evaluate.metrics import title
from ragd_tune.evaluate.report import Cell
from ragd_tune.evaluate.significance import Comparison

PARTS = {"all": "All queries", "known": "Known documents", "new": "New documents"}
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}


def minus(told: str) -> str:
    """Return a number's text with a real minus sign."""
    return told.replace("-", "−")


def signed(value: float) -> str:
    """Return a difference to four places."""
    return minus(f"{value:+.4f}")


def interval(found: Comparison) -> str:
    """Return an interval: ``+0.0840 to +0.1209``."""
    return f"{signed(found.low)} to {signed(found.high)}"


def metric(cell: Cell) -> str:
    """Return a cell's metric as people write it, with its dimension where there is a choice."""
    return title(cell.metric) if cell.dims is None else f"{title(cell.metric)} at {cell.dims}"


def duration(seconds: float) -> str:
    """Return seconds in words: ``2 min 5 s``."""
    whole = round(seconds)
    if whole < 120:
        return f"{seconds:.0f} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """Return bytes in words: ``1.4 GB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def short(digest: str) -> str:
    """Return the first letters of a hash: enough to tell it from others."""
    return digest[:12]


def rank(found: int | None) -> str:
    """Return a rank, or that there is none."""
    return "not found" if found is None else f"rank {found:,}"


def day(at: str) -> str:
    """Return the day of an ISO 8601 time."""
    return at.partition("T")[0]
