"""``ragd-tune data generate``: from documents to a data set that training can trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragd_tune.cli.asking import asking_of, asks
from ragd_tune.cli.output import show_json, table

if TYPE_CHECKING:
    from ragd_tune.pipeline.generating import Generated

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("documents", nargs=-1, type=_PATH)
@click.option(
    "--ragd-index", "index", type=_PATH, metavar="DIR", help="Take what ragd has indexed."
)
@click.option("--out", type=_PATH, help="Folder to write; in the store's datasets if not given.")
@click.option(
    "--generator",
    type=click.Choice(["llm", "headings"]),
    default="llm",
    show_default=True,
    help="Who asks: a language model, or headings, FAQ, links and the documents' own statistics.",
)
@asks
@click.option("--base", help="Base model; ragd's own embedder, else all-MiniLM-L6-v2.")
@click.option("--tokens", type=click.IntRange(16, 32_768), help="Tokens of a passage, at most.")
@click.option(
    "--per-chunk",
    type=click.IntRange(1, 50),
    default=4,
    show_default=True,
    help="Questions of a passage, at most.",
)
@click.option("--recipe", "recipes", multiple=True, help="Use only this recipe; may be repeated.")
@click.option("--without", "off", multiple=True, help="Switch a filter off; may be repeated.")
@click.option(
    "--depth",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Round trip: the base must find the passage among so many.",
)
@click.option(
    "--dev",
    type=click.FloatRange(0, 0.5),
    default=0.1,
    show_default=True,
    help="Share of the passages for dev, by whole documents.",
)
@click.option(
    "--test",
    type=click.FloatRange(0, 0.8),
    default=0.2,
    show_default=True,
    help="Share of the passages for test, by whole documents.",
)
@click.option("--seed", default=0, show_default=True, help="Decides which documents are held back.")
@click.option("--offline", is_flag=True, help="Never ask a model hub.")
@click.option("--force", is_flag=True, help="Replace what is at OUT.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def generate(
    documents: tuple[Path, ...],
    *,
    generator: str,
    recipes: tuple[str, ...],
    off: tuple[str, ...],
    offline: bool,
    ray: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Make a data set of DOCUMENTS, which are folders or files, or of ragd's own index.

    Text, Markdown, code and JSONL are read; HTML, PDF and DOCX with the extra `documents`.

    Whole documents are held back for dev and test, so that a proof speaks of new documents.
    Nothing leaves this machine without --allow-remote. A stopped or killed run goes on where it
    was, and asks nothing twice.
    """
    from ragd_tune.cli.progress import Progress
    from ragd_tune.data.cluster import clustered
    from ragd_tune.data.generate import RECIPES
    from ragd_tune.pipeline import workshop
    from ragd_tune.pipeline.asking import generate_with_model as by_model
    from ragd_tune.pipeline.generating import Generation, generate_data
    from ragd_tune.pipeline.host_base import base_of
    from ragd_tune.store import Store

    asking = asking_of(given)
    given["base"] = base_of(Store(), given["base"])
    asked = Generation(
        documents=documents,
        recipes=recipes or RECIPES,
        off=frozenset(off),
        offline=True if offline else None,
        **given,
    )
    if not documents and given["index"] is None:
        raise click.UsageError("name documents, or ragd's index by --ragd-index")
    with (
        Progress(quiet=as_json) as progress,
        clustered(ray, allow_remote=asking.allow_remote) as cluster,
    ):
        shop = workshop(progress=progress.work, cluster=cluster)
        made = by_model(shop, asked, asking) if generator == "llm" else generate_data(shop, asked)
    if as_json:
        show_json(made.to_json())
    else:
        tell(made)


def tell(made: Generated) -> None:
    """Print what was made, what each filter dropped with an example, and what was left out."""
    report = made.report
    table(
        "Filters",
        ("filter", "looked at", "dropped", "for example"),
        ((one.name, one.seen, one.count, _example(one.examples)) for one in report.filters),
    )
    styles = ", ".join(f"{name} {count}" for name, count in sorted(report.kept.items()))
    click.echo(f"questions by recipe: {styles}")
    for note in made.notes:
        click.echo(f"note: {note}")
    if made.library.skipped:
        click.echo(f"left out: {len(made.library.skipped)} files")
    for one in made.library.skipped[:10]:
        click.echo(f"  {one.path}: {one.reason}")
    counts = ", ".join(f"{count} {split}" for split, count in made.counts.items())
    click.echo(
        f"{len(made.library.sources)} documents, {made.passages} passages; questions: {counts}"
    )
    click.echo(f"wrote {made.data.source}")
    click.echo(f"next:  ragd-tune train bi-encoder --data {made.data.source}")


def _example(examples: tuple[object, ...]) -> str:
    first = examples[0] if examples else None
    return str(first["question"])[:60] if isinstance(first, dict) else ""
