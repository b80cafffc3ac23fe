"""What ``train`` and ``demo`` share: train, prove, and tell the result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragd_tune import errors
from ragd_tune.cli import precision
from ragd_tune.cli.budget import sentence
from ragd_tune.cli.other import other
from ragd_tune.cli.output import duration, show_json, size
from ragd_tune.cli.page import check_page, write_page
from ragd_tune.cli.report import show_refusal, show_report
from ragd_tune.evaluate.words import QUERY_SIDE
from ragd_tune.pipeline import Planned, Trained, Workshop, prove, train
from ragd_tune.pipeline.practice import notices
from ragd_tune.pipeline.proving import headline
from ragd_tune.training import best

if TYPE_CHECKING:
    from ragd_tune.cli.progress import Progress
    from ragd_tune.evaluate import Report


def train_and_prove(
    shop: Workshop,
    planned: Planned,
    progress: Progress,
    parameters: Mapping[str, object],
    *,
    as_json: bool,
    beside: Mapping[str, object] | None = None,
) -> int:
    """Run ``planned``, prove it on the asked split, print, and return the exit code.

    ``beside`` goes into the JSON, too.
    """
    name, python = parameters.get("name"), parameters.get("python")
    split = str(parameters.get("split") or "test")
    judges = planned.data.judges(split, scored=planned.kind.serves == "embedder")
    proves = judges and not parameters.get("no_proof")
    page = _page(parameters.get("report"), proves=proves)
    base, elsewhere = planned.plan.base, other(shop.store, parameters) if proves else None
    progress.say(f"base model: {base.name} from {base.source} ({base.path})")
    if planned.weighing is not None:
        progress.say(f"{sentence(planned.weighing)}; the proof comes on top")
    for line in notices(planned):
        progress.say(f"note: {line}")
    made = train(
        shop,
        planned,
        name=name if isinstance(name, str) else None,
        resume=bool(parameters.get("resume")),
        fresh=bool(parameters.get("fresh")),
        python=python if isinstance(python, Path) else None,
    )
    report = None
    if proves:
        report = prove(
            shop,
            made.id,
            planned.data,
            split=split,
            strict=bool(parameters.get("strict")),
            base=base,
            options=planned.judging,
            other=elsewhere,
            precision=precision.wanted(parameters),
        ).report
    if as_json:
        show_json({**summary(made, report), **(beside or {})})
    else:
        tell(made, report)
    write_page(shop.store, made.id, page)
    return errors.DONE if report is None or report.passed else errors.NOT_PROVEN


def _page(asked: object, *, proves: bool) -> Path | None:
    """Return the file of the report, checked before anything is trained."""
    page = asked if isinstance(asked, Path) else None
    if page is not None and not proves:
        raise errors.UsageError(
            "--report: there will be no proof to report",
            mend="leave --no-proof out, and name a --split that the data has",
        )
    check_page(page)
    return page


def tell(made: Trained, report: Report | None) -> None:
    """Print what was trained and proven."""
    if report is not None:
        show_report(report)
    click.echo(f"trained in {cost(made)}")
    if not best.keeps(made.plan) and (line := best.told(list(made.result.dev_losses))):
        click.echo(f"note: {line}")
    click.echo(f"adapter {made.id[:12]} is in {made.path}")
    if report is None and made.manifest.side == "query":
        click.echo(QUERY_SIDE)
    _how_to_go_on(made.id[:12], report)


def _how_to_go_on(adapter: str, report: Report | None) -> None:
    """Name the commands that work from here: what is not proven is not activated."""
    if report is None:
        told = "nothing is proven yet, and only what is proven is activated"
        click.echo(f"{told}:  ragd-tune evaluate {adapter} --data DATA")
    elif not report.passed:
        show_refusal(report, adapter)
        return
    else:
        click.echo(f"use it:  ragd-tune adapters activate {adapter}")
    click.echo(f"in Python:  python -c 'import ragd_tune; e = ragd_tune.load(\"{adapter}\")'")


def cost(made: Trained) -> str:
    """Return time and memory, beside what was estimated."""
    result = made.result
    text = f"{duration(result.seconds)}, {result.steps} steps, {size(result.peak_bytes)}"
    if result.estimate is not None:
        told = result.estimate
        text += f" (estimated: {duration(told.seconds)}, {size(told.peak_bytes)})"
    return text


def summary(made: Trained, report: Report | None) -> dict[str, object]:
    """Return what ``--json`` prints."""
    told = made.result.estimate
    return {
        "id": made.id,
        "path": str(made.path),
        "plan": made.plan.id,
        "side": made.manifest.side,
        "base_model": {"name": made.plan.base.name, "source": made.plan.base.source},
        "steps": made.result.steps,
        "seconds": made.result.seconds,
        "peak_rss": made.result.peak_bytes,
        "estimated_seconds": told.seconds if told else None,
        "estimated_peak_rss": told.peak_bytes if told else None,
        **(headline(report) if report is not None else {}),
        "passed": report.passed if report is not None else None,
        "proof": report.to_json() if report is not None else None,
    }
