"""``ragd-tune data mine``: hard negatives for a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ragd_tune.cli.asking import asking_of, asks
from ragd_tune.cli.output import show_json, table

if TYPE_CHECKING:
    from ragd_tune.pipeline.mining import MinedSet

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("path", type=_PATH)
@click.argument("out", type=_PATH)
@click.option(
    "--by",
    "retrievers",
    multiple=True,
    type=click.Choice(["bm25", "dense"]),
    help="Who proposes candidates; both if not given.",
)
@click.option("--base", help="Base model; ragd's own embedder, else all-MiniLM-L6-v2.")
@click.option("--adapter", help="Embed by this adapter of the store instead of the base.")
@click.option(
    "--teacher",
    metavar="NAME",
    help="Let this reranker score the candidates: an adapter of the store, or a base model.",
)
@click.option(
    "--per-query",
    type=click.IntRange(1, 100),
    default=4,
    show_default=True,
    help="Negatives to keep of a query, at most.",
)
@click.option(
    "--depth",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Candidates that each proposes; all that a --teacher reads.",
)
@click.option(
    "--margin",
    type=click.FloatRange(0.0, 1.0),
    default=0.95,
    show_default=True,
    help="Keep what scores below this share of the positive's score.",
)
@click.option("--no-margin", is_flag=True, help="Keep the hardest, false negatives and all.")
@click.option(
    "--index",
    type=click.Choice(["auto", "exact", "approximate"]),
    default="auto",
    show_default=True,
    help="How vectors are searched; auto is approximate above 500,000 passages.",
)
@click.option(
    "--written",
    type=click.IntRange(1, 20),
    metavar="N",
    help="Let a language model write N further negatives for each query.",
)
@asks
@click.option("--offline", is_flag=True, help="Never ask a model hub.")
@click.option("--force", is_flag=True, help="Replace what is at OUT.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def mine(
    path: Path,
    out: Path,
    *,
    retrievers: tuple[str, ...],
    base: str | None,
    adapter: str | None,
    teacher: str | None,
    per_query: int,
    depth: int,
    margin: float,
    no_margin: bool,
    index: Literal["auto", "exact", "approximate"],
    written: int | None,
    ray: str | None,
    offline: bool,
    force: bool,
    as_json: bool,
    **asked_of: Any,
) -> None:
    """Find passages of PATH that look like answers and are none; write it with them to OUT.

    Never kept: another answer of the query, a near-duplicate of one, its neighbour in the document,
    and what scores about as high as the answer itself. Stopped work goes on where it was. A
    language model is asked with --written only.
    """
    from ragd_tune.cli.progress import Progress
    from ragd_tune.data.cluster import clustered
    from ragd_tune.data.mine import Mining
    from ragd_tune.pipeline import workshop
    from ragd_tune.pipeline.host_base import base_of
    from ragd_tune.pipeline.mining import RETRIEVERS, Writing, mine_data

    asking = asking_of(asked_of)
    asked = Mining(
        per_query=per_query,
        depth=depth,
        margin=None if no_margin else margin,
        retrievers=retrievers or RETRIEVERS,
        index=index,
    )
    with (
        Progress(quiet=as_json) as progress,
        clustered(ray, allow_remote=asking.allow_remote) as cluster,
    ):
        shop = workshop(progress=progress.work, cluster=cluster)
        made = mine_data(
            shop,
            path,
            out,
            asked,
            base=base_of(shop.store, base),
            adapter=adapter,
            teacher=teacher,
            writing=Writing(asking=asking, count=written) if written else None,
            offline=True if offline else None,
            force=force,
        )
    if as_json:
        told = {"written": made.written.to_json()} if made.written else {}
        show_json({"out": str(out), "scored_by": made.scored_by, **made.mined.to_json(), **told})
    else:
        tell(made)


def tell(made: MinedSet) -> None:
    """Print what was looked at, dropped and kept, and one example."""
    told = made.mined
    rows = [
        ("candidates", told.looked_at),
        *((f"dropped: {k}", n) for k, n in told.dropped.items()),
    ]
    rows += [("kept", sum(map(len, told.negatives.values()))), ("queries without", told.empty)]
    table("Hard negatives", ("what", "count"), rows)
    for qid, found in list(told.negatives.items())[:1]:
        click.echo(f"for example: {made.data.queries[qid].text}")
        click.echo(f"  not: {made.data.corpus[found[0]].passage[:120]}")
    click.echo(f"scored by {made.scored_by}")
    if made.written is not None:
        counts = ", ".join(f"{name} {count}" for name, count in made.written.dropped.items())
        kept = sum(map(len, made.written.texts.values()))
        click.echo(f"written by {made.written.model}: {kept} (dropped: {counts})")
        if made.written.outcome.stopped:
            click.echo(f"note: {made.written.outcome.stopped}; the same command goes on")
    click.echo(f"wrote {made.data.source}")
