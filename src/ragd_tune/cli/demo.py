"""``ragd-tune demo``: offline, real, before and after."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import click

from ragd_tune import errors
from ragd_tune.cli import precision

if TYPE_CHECKING:
    from ragd_tune.cli.progress import Progress
    from ragd_tune.demo.run import Ready, Shown


@click.command()
@click.option("--minutes", default="5", show_default=True, metavar="X", help="Time to train for.")
@click.option(
    "--tuning", default="full", show_default=True, metavar="full|lora", help="What to train."
)
@click.option("--base", metavar="TEXT", help="Base model: a folder or a name; all-MiniLM-L6-v2.")
@click.option("--device", metavar="auto|cpu|cuda|mps", help="Where to train.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.option("--fresh", is_flag=True, help="Start again, whatever was kept.")
@click.option("--offline", is_flag=True, help="Never ask a model hub.")
@precision.option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def demo(*, resume: bool, fresh: bool, offline: bool, as_json: bool, **given: object) -> int:
    """Fine-tune an embedder on this machine's own Python library, and prove the gain.

    The queries are docstrings, the documents the code that they describe, read from the standard
    library of the interpreter that runs this. Whole modules are held out: what is tested was never
    trained on. Nothing is sent anywhere.
    """
    if resume and fresh:
        raise errors.UsageError("--resume and --fresh exclude each other", mend="take one")
    from ragd_tune.cli.progress import Progress
    from ragd_tune.demo.run import prepare, run
    from ragd_tune.pipeline import workshop

    with Progress(quiet=as_json) as progress:
        shop = workshop(observe=progress, progress=progress.work)
        computed = precision.taken(given)
        ready = prepare(shop, given, offline=offline)
        introduce(ready, progress)
        shown = run(shop, ready, resume=resume, fresh=fresh, precision=computed)
    if as_json:
        from ragd_tune.cli.output import show_json

        show_json(summary(shown))
    else:
        tell(shown)
    return errors.DONE if shown.report.passed else errors.NOT_PROVEN


def introduce(ready: Ready, progress: Progress) -> None:
    """Say what is trained on what, before it starts."""
    counts, plan = ready.counts, ready.planned.plan
    progress.say(
        f"Python {platform.python_version()}'s standard library: {sum(counts.values()):,} pairs of "
        "a docstring and its code\n"
        f"  {counts['train']:,} to train, {counts['dev']:,} to watch, {counts['test']:,} to test, "
        "parted by module\n"
        f"  kept as {ready.data.source}\n"
        f"base model: {plan.base.name} (from {plan.base.source}: {plan.base.path})\n"
        f"training: {plan.tuning} on {plan.device} by the backend {plan.backend}"
    )


def tell(shown: Shown) -> None:
    """Print before and after, examples, and how to go on."""
    from ragd_tune.cli.output import duration
    from ragd_tune.cli.report import show_refusal
    from ragd_tune.cli.trained import cost

    _numbers(shown)
    click.echo(shown.report.sentence)
    if shown.examples:
        click.echo("\nQueries whose answer moved to the top:")
    for one in shown.examples:
        query = one.query if len(one.query) <= 90 else f"{one.query[:89]}…"
        before = "beyond 100" if one.rank_before is None else f"{one.rank_before}"
        click.echo(f"  “{query}”\n    rank {before} → {one.rank_after}: {one.document}")
    show_refusal(shown.report, "demo")
    made, data = shown.trained, shown.ready.data.source
    click.echo(f"\nTrained in {cost(made)}; {duration(shown.seconds)} in all.")
    click.echo(f"The adapter demo ({made.id[:12]}) is in {made.path}")
    click.echo(
        "Use it in Python:\n"
        "    import ragd_tune\n"
        '    embedder = ragd_tune.load("demo")\n'
        '    vectors = embedder.embed(["Return the base name of a path."])\n'
        "or on the command line:\n"
        "    ragd-tune adapters show demo\n"
        + ("    ragd-tune adapters activate demo\n" if shown.report.passed else "")
        + f"    ragd-tune evaluate demo --data {data}\n"
        "and train on documents of your own:\n"
        "    ragd-tune train bi-encoder --data YOUR_DATA"
    )


def _numbers(shown: Shown) -> None:
    from ragd_tune.cli.output import table

    report = shown.report
    table(
        f"\nBase and adapter on {report.counts.queries:,} queries of held-out modules, searching "
        "these modules",
        ("metric", "base", "adapter", "difference", "95% interval", "p"),
        (
            (
                cell.metric,
                f"{cell.before:.4f}",
                f"{cell.after:.4f}",
                f"{cell.difference.mean:+.4f}",
                f"{cell.difference.low:+.4f} … {cell.difference.high:+.4f}",
                f"{cell.difference.p:.4f}",
            )
            for cell in report.cells
            if cell.part == "all"
        ),
    )


def summary(shown: Shown) -> dict[str, object]:
    """Return what ``--json`` prints: what ``train`` prints, and the demo's own."""
    from ragd_tune.cli import trained

    ready, base = shown.ready, shown.ready.planned.plan.base
    return {
        **trained.summary(shown.trained, shown.report),
        "base_model": {
            "name": base.name,
            "source": base.source,
            "path": str(base.path),
            "revision": base.revision,
            "fingerprint": base.fingerprint,
        },
        "data": {
            "folder": str(ready.data.source),
            "fingerprint": ready.data.fingerprint,
            "pairs": ready.counts,
            "python": ready.data.about["python"],
            "licence": ready.data.about["licence"],
        },
        "examples": [one.to_json() for one in shown.examples],
        "total_seconds": shown.seconds,
    }
