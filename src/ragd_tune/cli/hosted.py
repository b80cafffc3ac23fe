"""What `adapters activate` and `adapters rollback` say and ask where ragd is set up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragd_tune.cli.output import duration, show_json
from ragd_tune.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragd_tune.pipeline.host_plan import HostPlan


def found() -> bool:
    """Say whether ragd was set up for this user."""
    from ragd_tune.pipeline.hosting import host_found

    return host_found() is not None


def activate(
    ref: str, *, data: Path | None, force: bool, dry_run: bool, yes: bool, json: bool
) -> None:
    """Show what changes in ragd, ask, and do it."""
    from ragd_tune.pipeline.host_plan import plan_activation
    from ragd_tune.pipeline.hosting import carry_out
    from ragd_tune.pipeline.workshop import workshop

    shop = workshop()
    plan = plan_activation(shop, ref, data=data, force=force)
    if not json:
        _show(plan)
    if dry_run:
        if json:
            show_json(to_json(plan))
        return
    if not yes:
        click.confirm("change it?", abort=True, err=True)
    with bar(plan.chunks, quiet=json, again=_again(plan.entry.shown, data)) as step:
        carry_out(shop, plan, progress=step)
    if json:
        show_json(to_json(plan))
        return
    click.echo(f"{plan.entry.shown} is the active embedder, and ragd's next search uses it")
    click.echo("the way back: ragd-tune adapters rollback")


def hand_over(ref: str, *, data: Path, yes: bool, json: bool) -> bool:
    """Let ragd use what `auto` made, if the user says so; else say how. Return whether it does."""
    if json and not yes:
        return False
    if json:
        _quietly(ref, data)
        return True
    if yes or sys.stdin.isatty():
        try:
            activate(ref, data=data, force=False, dry_run=False, yes=yes, json=False)
        except click.Abort:
            click.echo()
        else:
            return True
    click.echo(f"let ragd use it: ragd-tune adapters activate {ref} --data {data}")
    return False


def _quietly(ref: str, data: Path) -> None:
    from ragd_tune.pipeline.host_plan import plan_activation
    from ragd_tune.pipeline.hosting import carry_out
    from ragd_tune.pipeline.workshop import workshop

    shop = workshop()
    carry_out(shop, plan_activation(shop, ref, data=data))


def roll_back() -> tuple[str, ...]:
    """Take the last activation back; return what to say of it."""
    from ragd_tune.pipeline import hosting
    from ragd_tune.pipeline.workshop import workshop

    change, notes = hosting.roll_back(workshop())
    if change is None:
        return ("ragd's configuration was not part of that activation, and stays",)
    return (*notes, f"{change.config} is as it was before")


def tell_reranker() -> None:
    """Say what an active reranker needs in ragd."""
    from ragd_tune.ragd.hooking import is_enabled, ragd_version

    if ragd_version() and not is_enabled():
        click.echo("ragd wires no reranker in by itself: `ragd-tune host enable` lets it ask")


def to_json(plan: HostPlan) -> dict[str, object]:
    """Return a plan as a program reads it."""
    return {
        "adapter": plan.entry.id,
        "config": str(plan.config),
        "diff": plan.diff,
        "index": str(plan.target) if plan.target else None,
        "documents": plan.documents,
        "chunks": plan.chunks,
        "seconds": round(plan.seconds, 1),
        "calibration": plan.calibration.to_json() if plan.calibration else None,
        "notes": list(plan.notes),
    }


def _show(plan: HostPlan) -> None:
    click.echo(plan.diff or f"{plan.config}: nothing changes")
    if plan.target is None:
        click.echo("nothing needs embedding again: the documents' vectors stay")
    else:
        click.echo(
            f"{plan.documents} documents ({plan.chunks} chunks) are embedded again into "
            f"{plan.target}, in about {duration(plan.seconds)} as measured; the old index stays"
        )
    for one in plan.calibration.thresholds if plan.calibration else ():
        click.echo(one.sentence)
    for note in plan.notes:
        click.echo(note)


def _again(ref: str, data: Path | None) -> str:
    return f"ragd-tune adapters activate {ref}" + (f" --data {data}" if data else "")


class bar:
    """A bar for chunks on standard error; silent without a terminal or with ``quiet``.

    Whoever interrupts what it shows is told that nothing is lost, and to go on by ``again``.
    """

    def __init__(self, total: int, *, quiet: bool, again: str) -> None:
        self._total = total
        self._shown = not quiet and sys.stderr.isatty()
        self._again = again

    def __enter__(self) -> Callable[[int, int], None]:
        return self._step

    def _step(self, done: int, total: int) -> None:
        if self._shown:
            end = "\n" if done == total else ""
            click.echo(f"\r{done} of {total} chunks", nl=False, err=True)
            click.echo(end, nl=False, err=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            raise InterruptedRunError(
                "interrupted: what was embedded is kept",
                mend=f"go on: {self._again} (ragd-tune host status tells what ragd uses)",
            )
