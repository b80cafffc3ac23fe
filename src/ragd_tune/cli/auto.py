"""``ragd-tune auto``: documents to an activated adapter, in one command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragd_tune import errors
from ragd_tune.cli.other import OPTIONS, other
from ragd_tune.cli.spread import on_cluster, to_others

if TYPE_CHECKING:
    from ragd_tune.auto import Done

_PATH = click.Path(path_type=Path)


@click.command(params=[*OPTIONS])  # click adds its own to the list
@click.argument("documents", nargs=-1, required=True, type=_PATH)
@click.option(
    "--generator",
    type=click.Choice(["best", "llm", "headings"]),
    default="best",
    show_default=True,
    help="Who asks: a language model where one answers, else the documents themselves.",
)
@click.option(
    "--endpoint",
    default="http://localhost:11434/v1",
    show_default=True,
    metavar="URL",
    help="OpenAI-compatible address of the language model.",
)
@click.option("--model", help="Language model; the first that the endpoint offers if not given.")
@to_others
@on_cluster
@click.option("--base", help="Base model; ragd's own embedder, else all-MiniLM-L6-v2.")
@click.option("--tuning", metavar="lora|full", help="What to train; the kind's default.")
@click.option("--minutes", metavar="X", help="Train for so long; a whole epoch if not given.")
@click.option("--backend", help="Backend; the best if not given.")
@click.option(
    "--per-chunk",
    type=click.IntRange(1, 50),
    default=4,
    show_default=True,
    help="Questions of a passage, at most.",
)
@click.option("--mine", "mined", is_flag=True, help="Mine hard negatives before training.")
@click.option("--name", help="Name of the adapter; the documents' if not given.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides what is held back.")
@click.option("--no-activate", is_flag=True, help="Leave what serves as it is.")
@click.option("--yes", is_flag=True, help="Change what ragd uses without asking.")
@click.option("--offline", is_flag=True, help="Never ask a model hub.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, every question's scores in it.")
def auto(
    documents: tuple[Path, ...],
    *,
    generator: str,
    endpoint: str,
    model: str | None,
    allow_remote: bool,
    ray: str | None,
    base: str | None,
    tuning: str | None,
    minutes: str | None,
    backend: str | None,
    per_chunk: int,
    mined: bool,
    name: str | None,
    seed: int,
    no_activate: bool,
    yes: bool,
    offline: bool,
    as_json: bool,
    **elsewhere: object,
) -> int:
    """Fine-tune an embedder on DOCUMENTS, prove the gain on held-back ones, and let it serve.

    Where ragd is set up, you see first what changes in it, and are asked. Exits with 3, and changes
    nothing that serves, if no gain could be proven.
    """
    from ragd_tune.auto import Wish, run
    from ragd_tune.cli import hosted
    from ragd_tune.cli.progress import Progress
    from ragd_tune.data.cluster import clustered
    from ragd_tune.pipeline import workshop
    from ragd_tune.pipeline.asking import Asking
    from ragd_tune.pipeline.generating import Generation
    from ragd_tune.pipeline.host_base import base_of
    from ragd_tune.store import Store

    wish = Wish(
        generation=Generation(
            documents=documents,
            base=base_of(Store(), base),
            per_chunk=per_chunk,
            seed=seed,
            offline=True if offline else None,
        ),
        asking=Asking(url=endpoint, model=model, allow_remote=allow_remote),
        generator=generator,
        training={"tuning": tuning, "minutes": minutes, "backend": backend, "seed": seed},
        mined=mined,
        activate=not no_activate and not hosted.found(),
        name=name,
        other=other(Store(), elsewhere),
    )
    with (
        Progress(quiet=as_json) as progress,
        clustered(ray, allow_remote=allow_remote) as cluster,
    ):
        shop = workshop(observe=progress, progress=progress.work, cluster=cluster)
        done = run(shop, wish, progress.say)
    if not as_json:
        tell(done)
    if done.report.passed and not no_activate and hosted.found():
        data = done.generated.data.source
        serves = hosted.hand_over(done.trained.id[:12], data=data, yes=yes, json=as_json)
        done = replace(done, activated=serves)
    if as_json:
        from ragd_tune.cli.output import show_json

        show_json(done.to_json())
    return errors.DONE if done.report.passed else errors.NOT_PROVEN


def tell(done: Done) -> None:
    """Print the proof, what serves now, and the way back."""
    from ragd_tune.cli.report import show_refusal, show_report
    from ragd_tune.cli.trained import cost

    show_report(done.report)
    click.echo(f"questions by {done.asked_by}; the data set is {done.generated.data.source}")
    for note in done.notes:
        click.echo(f"note: {note}")
    click.echo(f"trained in {cost(done.trained)}")
    made = done.trained.id[:12]
    if done.activated:
        click.echo(f"adapter {made} serves now; the way back: ragd-tune adapters rollback")
    elif done.report.passed:
        click.echo(f"adapter {made} is kept, and nothing that serves was changed")
    else:
        click.echo("nothing that serves was changed")
    show_refusal(done.report, made)
