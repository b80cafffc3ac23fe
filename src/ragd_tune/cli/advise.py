"""``ragd-tune advise``: should you fine-tune, and what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragd_tune.cli.output import duration, show_json, size, table

if TYPE_CHECKING:
    from ragd_tune.advise import Facts
    from ragd_tune.pipeline.advising import Advised

_WHAT = {
    "nothing": "Do not fine-tune.",
    "query": "Fine-tune the query side of the embedder.",
    "lora": "Fine-tune the embedder with LoRA.",
    "full": "Fine-tune all weights of the embedder.",
    "reranker": "Fine-tune a reranker.",
    "raft": "Fine-tune the language model (RAFT).",
}


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--base", help="Base model; ragd's own embedder, else all-MiniLM-L6-v2.")
@click.option("--offline", is_flag=True, help="Never ask a model hub.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def advise(paths: tuple[Path, ...], *, base: str | None, offline: bool, as_json: bool) -> None:
    """Measure PATHS, a data set or documents, against a base model, and say what would pay.

    Documents are asked without a language model for the measuring. Nothing is trained.
    """
    from ragd_tune.cli.progress import Progress
    from ragd_tune.pipeline import workshop
    from ragd_tune.pipeline.advising import advise as ask

    with Progress(quiet=as_json) as progress:
        found = ask(
            workshop(progress=progress.work), paths, base=base, offline=True if offline else None
        )
    if as_json:
        show_json(found.to_json())
    else:
        tell(found)


def tell(found: Advised) -> None:
    """Print the measurements, the recommendation, the reasons, and the command."""
    table("Measured", ("what", "value"), _rows(found.facts))
    advice = found.advice
    click.echo(f"\n{_WHAT[advice.what]}")
    for reason in advice.reasons:
        click.echo(f"  because {reason}")
    if advice.command:
        click.echo(f"  {advice.command}")
    if advice.seconds is not None:
        click.echo(f"  one epoch takes about {duration(advice.seconds)} here, by what was measured")
    if advice.memory is not None:
        click.echo(f"  it takes about {size(advice.memory)} of memory on a CPU")
    for note in found.notes:
        click.echo(f"note: {note}")


def _rows(facts: Facts) -> list[tuple[str, str]]:
    machine = facts.hardware
    rows: list[tuple[str, str]] = [
        ("passages", f"{facts.passages:,}"),
        ("training pairs", f"{facts.pairs:,}"),
        ("independent groups of test questions", f"{facts.groups:,}"),
        ("tokens a word", _shown(facts.pieces, ".2f")),
        ("words in four pieces or more", _shown(facts.broken, ".1%")),
        ("nDCG@10 of the base", _shown(facts.dense, ".3f")),
        ("nDCG@10 of BM25", _shown(facts.lexical, ".3f")),
        ("answers among the base's first 50", _shown(facts.reach, ".1%")),
        ("first ten in common with BM25", _shown(facts.agreement, ".1%")),
        ("measured on", f"{facts.sample} questions, {facts.searched:,} passages"),
        ("machine", f"{machine.cores} cores, {size(machine.memory)}; ragd's tier {machine.tier}"),
        ("trains on", ", ".join(machine.devices) or "nothing"),
    ]
    return rows


def _shown(value: float | None, spec: str) -> str:
    return "not measured" if value is None else format(value, spec)
