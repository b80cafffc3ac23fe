"""``ragd-tune data generate``: from documents to a data set that training can trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

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
@click.option(
    "--endpoint",
    "url",
    default="http://localhost:11434/v1",
    show_default=True,
    metavar="URL",
    help="OpenAI-compatible address of the language model; the default is Ollama's.",
)
@click.option("--model", help="Language model; the first that the endpoint offers if not given.")
@click.option("--allow-remote", is_flag=True, help="Let documents go to another machine.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Requests at a time.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3600),
    default=300.0,
    show_default=True,
    help="Seconds of silence before a request is given up.",
)
@click.option("--budget-tokens", type=click.IntRange(1), help="Stop after so many tokens.")
@click.option("--budget-minutes", type=click.FloatRange(0.01, 100_000), help="Stop after so long.")
@click.option("--no-judge", is_flag=True, help="Do not let the language model judge its questions.")
@click.option("--base", default="all-MiniLM-L6-v2", show_default=True, help="Base model.")
@click.option("--tokens", type=click.IntRange(16, 32_768), help="Tokens of a passage, at most.")
@click.option(
    "--per-chunk", type=click.IntRange(1, 50), default=4, show_default=True, help="Questions each."
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
    "--dev", type=click.FloatRange(0, 0.5), default=0.1, show_default=True, help="Share to watch."
)
@click.option(
    "--test", type=click.FloatRange(0, 0.8), default=0.2, show_default=True, help="Share to test."
)
@click.option("--seed", default=0, show_default=True, help="Decides which documents are held back.")
@click.option("--offline", is_flag=True, help="Never ask a model hub.")
@click.option("--force", is_flag=True, help="Replace what is at OUT.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def generate(
    documents: tuple[Path, ...],
    *,
    generator: str,
    url: str,
    model: str | None,
    allow_remote: bool,
    workers: int,
    timeout: float,
    budget_tokens: int | None,
    budget_minutes: float | None,
    no_judge: bool,
    recipes: tuple[str, ...],
    off: tuple[str, ...],
    offline: bool,
    as_json: bool,
    **given: object,
) -> None:
    """Make a data set of DOCUMENTS, which are folders or files, or of ragd's own index.

    Text, Markdown, code and JSONL are read; HTML, PDF and DOCX with the extra `documents`.

    Whole documents are held back for dev and test, so that a proof speaks of new documents.
    Nothing leaves this machine without --allow-remote. A stopped or killed run goes on where it
    was, and asks nothing twice.
    """
    from ragd_tune.cli.progress import Progress
    from ragd_tune.data.generate import RECIPES
    from ragd_tune.data.llm import Budget
    from ragd_tune.pipeline import workshop
    from ragd_tune.pipeline.asking import Asking
    from ragd_tune.pipeline.asking import generate_with_model as by_model
    from ragd_tune.pipeline.generating import Generation, generate_data

    asked = Generation(
        documents=documents,
        recipes=recipes or RECIPES,
        off=frozenset(off),
        offline=True if offline else None,
        **given,  # type: ignore[arg-type]
    )
    if not documents and given["index"] is None:
        raise click.UsageError("name documents, or ragd's index by --ragd-index")
    budget = Budget(tokens=budget_tokens, seconds=budget_minutes and budget_minutes * 60)
    asking = None
    if generator == "llm":
        asking = Asking(
            url=url,
            model=model,
            allow_remote=allow_remote,
            workers=workers,
            timeout=timeout,
            judged=not no_judge,
            budget=budget,
        )
    with Progress(quiet=as_json) as progress:
        shop = workshop(progress=progress.work)
        made = generate_data(shop, asked) if asking is None else by_model(shop, asked, asking)
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
