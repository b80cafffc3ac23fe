"""``ragd-tune data raft``: answers with reasons and quotes, to train a language model on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragd_tune.cli.asking import asking_of, asks
from ragd_tune.cli.output import show_json, table

if TYPE_CHECKING:
    from ragd_tune.pipeline.answering import AnsweredSet

_PATH = click.Path(path_type=Path)


@click.command(name="raft")
@click.argument("path", type=_PATH)
@click.argument("out", type=_PATH)
@asks
@click.option("--seed", default=0, show_default=True, help="Told to the language model.")
@click.option("--force", is_flag=True, help="Replace what is at OUT.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def raft(
    path: Path,
    out: Path,
    *,
    seed: int,
    ray: str | None,
    force: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Let a language model answer the questions of PATH from their passages; write it to OUT.

    Each answer gives its reason and quotes. A quote that is not in the passages word for word is
    taken out, and an answer that has no other is dropped. Distractors are the negatives of PATH, or
    are mined by BM25 where it has none. Nothing leaves this machine without --allow-remote; a
    stopped run goes on where it was, and asks nothing twice.
    """
    from ragd_tune.cli.progress import Progress
    from ragd_tune.data.cluster import clustered
    from ragd_tune.pipeline import workshop
    from ragd_tune.pipeline.answering import answer_data

    asking = asking_of(asked)
    with (
        Progress(quiet=as_json) as progress,
        clustered(ray, allow_remote=asking.allow_remote) as cluster,
    ):
        shop = workshop(progress=progress.work, cluster=cluster)
        made = answer_data(shop, path, out, asking, seed=seed, force=force)
    if as_json:
        show_json(made.to_json())
    else:
        tell(made)


def tell(made: AnsweredSet) -> None:
    """Print what was kept and dropped, one example, and what to do next."""
    rows = [(f"dropped: {name}", count) for name, count in made.answered.dropped.items()]
    table("Answers", ("what", "count"), [*rows, ("kept", sum(made.counts.values()))])
    first = next(iter(made.answered.examples.values()))
    click.echo(f"for example: {first.question}")
    click.echo(f"  {first.reasoning[:300]}")
    for note in made.notes:
        click.echo(f"note: {note}")
    counts = ", ".join(f"{count} {split}" for split, count in made.counts.items())
    click.echo(f"examples by {made.model}: {counts}")
    click.echo(f"wrote {made.data.source}")
    click.echo(f"next:  ragd-tune train raft --data {made.data.source}")
