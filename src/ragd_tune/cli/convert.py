"""``ragd-tune data convert``: RAFT's reference formats, there and back."""

from __future__ import annotations

from pathlib import Path

import click

from ragd_tune.cli.output import show_json

_PATH = click.Path(path_type=Path)
_SHARE = click.FloatRange(0.0, 1.0)


@click.command(name="convert")
@click.argument("path", type=_PATH)
@click.argument("out", type=_PATH)
@click.option(
    "--to",
    "form",
    type=click.Choice(["hf", "completion", "chat"]),
    help="Write the file OUT in this format; without it, the folder OUT is made of a file.",
)
@click.option(
    "--split",
    "side",
    type=click.Choice(["train", "dev", "test"]),
    default="train",
    show_default=True,
    help="With --to: whose examples.",
)
@click.option(
    "--distractors",
    type=click.IntRange(0, 64),
    default=4,
    show_default=True,
    help="With --to: documents beside the one with the answer.",
)
@click.option(
    "--oracle-share",
    type=_SHARE,
    default=0.8,
    show_default=True,
    help="With --to: share of the examples whose documents hold the answer at all.",
)
@click.option("--system", default="", help="With --to chat: text of the system turn.")
@click.option("--dev", default=0.1, show_default=True, help="Share of the queries for dev.")
@click.option("--test", default=0.2, show_default=True, help="Share of the queries for test.")
@click.option("--seed", default=0, show_default=True, help="Decides splits, or contexts.")
@click.option("--force", is_flag=True, help="Replace what is at OUT.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def convert(
    path: Path,
    out: Path,
    *,
    form: str | None,
    side: str,
    distractors: int,
    oracle_share: float,
    system: str,
    dev: float,
    test: float,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Turn PATH, a file of RAFT's reference implementation, into the data set OUT.

    Its formats are hf, completion and chat; which one it is, is told by the fields. With --to, the
    other way: PATH is a data set with RAFT's examples, and OUT a file in that format, with the
    contexts that training would show.
    """
    from ragd_tune.data.raft import Mix
    from ragd_tune.pipeline.converting import hand_on, take_over

    if form:
        mix = Mix(distractors=distractors, oracle_share=oracle_share, seed=seed)
        made = hand_on(path, out, form, side=side, mix=mix, system=system, force=force)
    else:
        made = take_over(path, out, dev=dev, test=test, seed=seed, force=force)
    if as_json:
        told = {"out": str(out), "examples": dict(made.counts), "dropped": dict(made.dropped)}
        show_json(told)
        return
    for why, count in made.dropped.items():
        click.echo(f"left out: {count} rows: {why}")
    counts = ", ".join(f"{count} {name}" for name, count in made.counts.items())
    click.echo(f"wrote {out}: examples {counts}")
    if not form:
        click.echo(f"next:  ragd-tune train raft --data {out}")
