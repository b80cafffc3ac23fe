"""``adapters export --format onnx``: an embedder for onnxruntime, compared with its adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from ragd_tune.cli.output import size
from ragd_tune.errors import UsageError

_FLAGS = {"precision": "--precision", "sample": "--sample", "force": "--force"}

NAMES = tuple(_FLAGS)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what only this format takes."""
    made = [
        click.option(
            "--precision",
            type=click.Choice(["fp32", "int8"]),
            help="Number format of the weights (onnx); fp32 if not given.",
        ),
        click.option(
            "--sample",
            type=click.Path(path_type=Path),
            help="Your own texts to compare by: a data set, or a .txt with a text a line (onnx).",
        ),
        click.option(
            "--force", is_flag=True, help="Keep it though it is far from its adapter (onnx)."
        ),
    ]
    for option in reversed(made):
        command = option(command)
    return command


def check(format_: str, given: Mapping[str, object]) -> None:
    """Refuse these options where another format is written, and this format without a sample."""
    named = [flag for name, flag in _FLAGS.items() if given[name]]
    if format_ != "onnx" and named:
        raise UsageError(f"{named[0]} is for --format onnx", mend="leave it out")
    if format_ == "onnx" and given["sample"] is None:
        raise UsageError(
            "an export is compared with its adapter, on texts of yours, and none were named",
            mend="--sample DATA: a data set, or a .txt with a text a line",
        )


def write(
    adapter: str,
    out: Path,
    *,
    precision: str | None,
    sample: Path,
    force: bool,
    backend: str | None,
) -> None:
    """Export, compare, and say what came of it."""
    from ragd_tune.cli.progress import Progress
    from ragd_tune.export import onnx
    from ragd_tune.pipeline.onnx import export_onnx
    from ragd_tune.pipeline.workshop import workshop

    texts = onnx.sample(sample)
    with Progress() as progress:
        shop = workshop(observe=progress, progress=progress.work)
        form: onnx.Form = "int8" if precision == "int8" else "fp32"
        made = export_onnx(shop, adapter, out, texts, form=form, force=force, backend=backend)
    click.echo(f"wrote {out} ({form}, {size(made.size)})")
    click.echo(made.agreement.told())
    if made.same_space:
        click.echo("its vectors lie in the adapter's space: an index of either serves both")
    else:
        click.echo(
            "its vectors are a space of their own: embed documents and queries with it, and "
            "never mix them with the adapter's"
        )
    click.echo(f"use it:  python -c 'import ragd_tune; e = ragd_tune.load(\"{out.resolve()}\")'")
