"""``ragd-tune evaluate ADAPTER``: compare an adapter with what it would replace."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import click

from ragd_tune import errors
from ragd_tune.cli import flags, precision
from ragd_tune.cli.other import OPTIONS, other
from ragd_tune.cli.output import show_json
from ragd_tune.cli.page import REPORT_HELP, check_page, write_page
from ragd_tune.options import Option


class _Evaluate(click.Command):
    """The command with the options of every kind's proof; the adapter's kind refuses the others."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own flags, then those of the proofs."""
        own = [*super().get_params(ctx), *OPTIONS, precision.OPTION]
        return [*own, *flags.click_options(_judging(), {})]


@cache
def _judging() -> tuple[Option, ...]:
    from ragd_tune.registry import discover

    kinds = discover().kinds.values()
    found = {o.name: o for kind in kinds for o in kind.options if o.group == "proof"}
    return tuple(found.values())


@click.command(cls=_Evaluate)
@click.argument("adapter")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Data set.")
@click.option("--split", default="test", show_default=True, help="Split to compare on.")
@click.option("--dims", default="", help="Also compare at these dimensions, comma-separated.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where to run the models.",
)
@click.option("--strict", is_flag=True, help="Leaked queries are an error.")
@click.option("--report", "page", type=click.Path(path_type=Path), help=REPORT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    adapter: str,
    *,
    data: Path,
    split: str,
    dims: str,
    device: str,
    strict: bool,
    page: Path | None,
    as_json: bool,
    **judging: object,
) -> int:
    """Compare ADAPTER (a name or an id) with its incumbent; exit 3 if it is not proven better."""
    from ragd_tune.cli.progress import Progress
    from ragd_tune.cli.report import show_refusal, show_report
    from ragd_tune.pipeline import prove, workshop
    from ragd_tune.pipeline.planning import device_of
    from ragd_tune.pipeline.proving import headline

    check_page(page)
    elsewhere = {str(one.name): judging.pop(str(one.name)) for one in OPTIONS}
    computed = precision.taken(judging)
    wanted = DIMS.parse(dims, where="--dims")
    with Progress(quiet=as_json) as progress:
        shop = workshop(observe=progress, progress=progress.work)
        proved = prove(
            shop,
            adapter,
            data,
            split=split,
            dimensions=tuple(int(one) for one in wanted) if isinstance(wanted, tuple) else (),
            device=device_of(device),
            strict=strict,
            options=flags.given(_judging(), judging),
            other=other(shop.store, elsewhere),
            precision=computed,
        )
    report = proved.report
    if as_json:
        show_json({"id": proved.entry.id, **headline(report), "proof": report.to_json()})
    else:
        show_report(report, moved=5)
        show_refusal(report, proved.entry.id[:12])
    write_page(shop.store, proved.entry.id, page)
    return errors.DONE if report.passed else errors.NOT_PROVEN


DIMS = Option(name="dims", type="ints", default=(), low=1, high=65_536, help="dimensions")
