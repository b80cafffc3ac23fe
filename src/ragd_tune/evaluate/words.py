"""A comparison in plain English that never claims more than its numbers carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ragd_tune.evaluate.metrics import title
from ragd_tune.evaluate.significance import Comparison

if TYPE_CHECKING:
    from ragd_tune.evaluate.report import Beside, Cell


def verdict(cell: Cell, incumbent: str, candidate: str) -> str:
    """Return what the deciding cell shows, with its numbers."""
    found = cell.difference
    if not found.enough:
        claim = f"Nothing can be shown: {found.reason}. Seen on these queries"
    elif found.low > 0:
        claim = f"{candidate} does better than {incumbent}"
    elif found.high < 0:
        claim = f"{candidate} does worse than {incumbent}"
    else:
        claim = f"No difference could be shown between {candidate} and {incumbent}"
    at = "" if cell.dims is None else f" at {cell.dims} dimensions"
    values = f"{title(cell.metric)}{at} {cell.before:.4f} → {cell.after:.4f}"
    return f"{claim}: {values} ({numbers(found)})."


def numbers(found: Comparison) -> str:
    """Return mean, interval, p and sizes of a comparison."""
    return (
        f"{found.mean:+.4f}, 95% interval {found.low:+.4f} to {found.high:+.4f},"
        f" p = {found.p:.2g}, {_many(found.queries, 'query', 'queries')} in"
        f" {_many(found.clusters, 'group', 'groups')}"
    )


def reason(found: Comparison) -> str:
    """Return why a comparison does not pass the gate."""
    if not found.enough:
        return found.reason
    if found.high < 0:
        return f"the 95% interval ({found.low:+.4f} to {found.high:+.4f}) lies below 0"
    if found.ties == found.queries:
        return "no query scored differently"
    return f"the 95% interval ({found.low:+.4f} to {found.high:+.4f}) includes 0"


def new_lost(found: Comparison) -> str:
    """Return why an adapter of the query side is refused for what it does to new documents."""
    return (
        f"it serves known documents only: new ones lose ({found.mean:+.4f}, 95% interval"
        f" {found.low:+.4f} to {found.high:+.4f})"
    )


QUERY_SIDE = (
    "Queries go through the adapter, documents stay as the base embeds them: it serves known"
    " documents, those that training queries were about."
)
"""What is said of every adapter of the query side."""

GENERATED = "On generated questions"
"""How a result begins whose questions were made from the documents: nobody has asked them."""


def by_part(known: Cell | None, new: Cell | None) -> Iterator[str]:
    """Yield what is shown for known and for new documents."""
    if new is None:
        yield (
            "Every query is about documents that training queries used:"
            " nothing is shown for new documents."
        )
        return
    if known is None:
        yield "Every query is about documents that no training query used."
        return
    yield f"New documents: {_part(new.difference)}. Known documents: {_part(known.difference)}."


def others(beside: Sequence[Beside]) -> Iterator[str]:
    """Yield what other systems scored, with the candidate's distance from each."""
    for one in beside:
        yield f"Beside it, {one.name}: {one.score:.4f} ({numbers(one.difference)})."


def caveats(looks: int, excluded: int) -> Iterator[str]:
    """Yield what weakens the numbers."""
    if excluded:
        yield f"{_many(excluded, 'leaked query was', 'leaked queries were')} left out."
    if looks > 1:
        yield (
            f"This test set has been looked at {looks} times:"
            " the interval takes no account of choosing among several results."
        )


def _part(found: Comparison) -> str:
    if not found.enough:
        return f"too few groups to say ({numbers(found)})"
    if found.low > 0:
        return f"better ({numbers(found)})"
    if found.high < 0:
        return f"worse ({numbers(found)})"
    return f"no difference could be shown ({numbers(found)})"


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
