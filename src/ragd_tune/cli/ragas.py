"""``ragd-tune ragas ADAPTER``: what a language model as judge makes of answers, by RAGAS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragd_tune.cli.output import show_json, table

if TYPE_CHECKING:
    from ragd_tune.pipeline.ragas import Measured, Rated

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("adapter")
@click.option("--data", required=True, type=_PATH, help="Data set with answers.")
@click.option("--split", default="test", show_default=True, help="Split to ask.")
@click.option("--python", type=_PATH, help="Interpreter with RAGAS in it; this one if not given.")
@click.option(
    "--endpoint",
    "url",
    default="http://localhost:11434/v1",
    show_default=True,
    metavar="URL",
    help="OpenAI-compatible address of the judge; the default is Ollama's.",
)
@click.option("--model", help="The judge; the first model that the endpoint offers if not given.")
@click.option(
    "--embedding-model", help="Embeds for answer relevancy, which is left out if not given."
)
@click.option("--allow-remote", is_flag=True, help="Let documents go to another machine.")
@click.option(
    "--questions",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Ask so many of the split's questions, drawn at random.",
)
@click.option(
    "--passages",
    type=click.IntRange(1, 64),
    default=5,
    show_default=True,
    help="Passages that a question is answered from.",
)
@click.option("--embedder", help="What searches them: an adapter or a base; BM25 if not given.")
@click.option("--template", type=_PATH, help="The file that was trained on (--prompt-template).")
@click.option("--system", default="", help="Text of the system turn of both models.")
@click.option(
    "--answer-tokens",
    type=click.IntRange(4, 8192),
    default=256,
    show_default=True,
    help="Tokens of an answer at most.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Scores at a time.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3600),
    default=300.0,
    show_default=True,
    help="Seconds before a request is given up.",
)
@click.option(
    "--seconds",
    "silence",
    type=click.FloatRange(1, 86_400),
    default=1800.0,
    show_default=True,
    help="Seconds without any score before RAGAS is ended.",
)
@click.option("--seed", default=0, show_default=True, help="Decides which questions are drawn.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ragas(adapter: str, *, data: Path, as_json: bool, **given: Any) -> None:
    """Have base and ADAPTER answer the same prompts, and a language model judge the answers.

    Context precision and recall, faithfulness and answer relevancy, by RAGAS in an environment of
    its own. Nothing leaves this machine without --allow-remote. The numbers are a model's opinion:
    no adapter is activated or refused by them. A stopped run goes on where it was.
    """
    from ragd_tune.cli.progress import Progress
    from ragd_tune.evaluate.ragas import Judge
    from ragd_tune.pipeline import workshop
    from ragd_tune.pipeline.ragas import rate
    from ragd_tune.pipeline.ragas_answers import Asked

    judging = ("python", "url", "embedding_model", "allow_remote", "workers", "timeout", "silence")
    by = Judge(model=given.pop("model") or "", **{name: given.pop(name) for name in judging})
    with Progress(quiet=as_json) as progress:
        shop = workshop(progress=progress.work)
        rated = rate(shop, adapter, data, Asked(**given), by)
    if as_json:
        show_json({"id": rated.entry.id, **rated.to_json()})
    else:
        _show(rated)


def _show(rated: Rated) -> None:
    from ragd_tune.evaluate.ragas import METRICS

    table(
        f"RAGAS, judged by {rated.judge} ({rated.questions} questions)",
        ("metric", "base", "adapter", "difference", "95% interval", "judged"),
        (_row(one) for one in rated.measured),
    )
    for one in rated.measured:
        click.echo(f"{one.metric}: {METRICS[one.metric]}")
        if one.failed:
            click.echo(f"  {one.failed} questions could not be judged, for example: {one.why}")
    if rated.embedding_model is None:
        click.echo("answer_relevancy was left out: it needs --embedding-model")
    click.echo("A judge's opinion: it activates and refuses nothing.")


def _row(one: Measured) -> tuple[str, ...]:
    found = one.difference
    interval, count = f"{found.low:.3f} to {found.high:.3f}", str(found.queries)
    if one.reads_answers:
        means = (f"{one.before:.3f}", f"{one.after:.3f}", f"{found.mean:+.3f}")
        return (one.metric, *means, interval, count)
    return (one.metric, f"{one.before:.3f}", "the same", "", interval, count)
