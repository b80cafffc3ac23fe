"""``ragd-tune data``: generate, mine, check, convert, split and describe data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ragd_tune import errors
from ragd_tune.cli.answer import raft
from ragd_tune.cli.convert import convert
from ragd_tune.cli.generate import generate
from ragd_tune.cli.mine import mine
from ragd_tune.cli.output import show_json, table

if TYPE_CHECKING:
    from ragd_tune.data import Finding

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_PATH = click.Path(path_type=Path)


@click.group()
def data() -> None:
    """Generate, mine, check, convert, split and describe data sets."""


data.add_command(convert)
data.add_command(generate)
data.add_command(mine)
data.add_command(raft)


@data.command()
@click.argument("path", type=_PATH)
@click.option("--base", help="Base model whose tokenizer and length limit texts are held against.")
@click.option("--max-length", type=click.IntRange(8, 32_768), help="Tokens, instead of the base's.")
@click.option("--strict", is_flag=True, help="Leaks are errors.")
@click.option("--most", default=3, show_default=True, help="Findings of one sort to print.")
@_JSON
def check(
    path: Path,
    *,
    base: str | None,
    max_length: int | None,
    strict: bool,
    most: int,
    as_json: bool,
) -> int:
    """Check PATH: everything that would spoil a training or its proof, with file and line."""
    from ragd_tune.pipeline.checking import check_data

    report = check_data(path, base=base, max_length=max_length, strict=strict)
    if as_json:
        show_json(report.to_json())
    else:
        table("Counts", ("what", "value"), report.counts.items())
        show_findings(report.findings, report.totals, most)
    return errors.BAD_DATA if any(one.level == "error" for one in report.findings) else errors.DONE


def show_findings(findings: tuple[Finding, ...], totals: Mapping[str, int], most: int) -> None:
    """Print up to ``most`` findings of each code, in order, and how many more there are."""
    shown: Counter[str] = Counter()
    for one in findings:
        shown[one.code] += 1
        if shown[one.code] <= most:
            click.echo(f"{one.level}: {one}")
    for code, total in totals.items():
        if total > min(shown[code], most):
            click.echo(f"… {total} findings of {code} in all")
    if not any(one.level == "error" for one in findings):
        click.echo("nothing here forbids training")


@data.command()
@click.argument("path", type=_PATH)
@click.argument("out", type=_PATH)
@click.option("--dev", default=0.1, show_default=True, help="Share of the queries for dev.")
@click.option("--test", default=0.2, show_default=True, help="Share of the queries for test.")
@click.option(
    "--hold-back-known",
    default=0.0,
    show_default=True,
    help="Share of all queries to hold back for test though training knows their documents.",
)
@click.option(
    "--by",
    type=click.Choice(["document", "group"]),
    default="document",
    show_default=True,
    help="What stays on one side: source documents, or whole groups (topics).",
)
@click.option("--gz", is_flag=True, help="Write compressed files.")
@click.option("--seed", default=0, show_default=True, help="Decides what is held back.")
@click.option("--force", is_flag=True, help="Replace what is at OUT.")
@_JSON
def split(
    path: Path,
    out: Path,
    *,
    dev: float,
    test: float,
    hold_back_known: float,
    by: Literal["document", "group"],
    gz: bool,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Split PATH by document into train, dev and test, and write it to OUT."""
    from ragd_tune.data import read, stats, write
    from ragd_tune.data import split as divide
    from ragd_tune.pipeline.converting import split_again

    made = divide(read(path), seed=seed, dev=dev, test=test, by=by, hold_back_known=hold_back_known)
    write(made, out, force=force, compress=gz, tables=split_again(made, path))
    if as_json:
        show_json({"out": str(out), "stats": stats(made).to_json()})
    else:
        sizes = ", ".join(f"{len(judged)} {name}" for name, judged in made.qrels.items())
        click.echo(f"wrote {out}: queries {sizes}")
        for note in made.notes:
            click.echo(str(note), err=True)


@data.command(name="stats")
@click.argument("path", type=_PATH)
@_JSON
def stats_(path: Path, *, as_json: bool) -> None:
    """Describe PATH: counts, lengths, pairs a query, groups."""
    from ragd_tune.data import read, stats

    told = stats(read(path)).to_json()
    if as_json:
        show_json(told)
        return
    table(str(path), ("what", "value"), _flat(told))


def _flat(value: object, name: str = "") -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [row for key, one in value.items() for row in _flat(one, f"{name} {key}".strip())]
    return [(name, value)]
