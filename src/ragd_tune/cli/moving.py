"""``ragd-tune adapters export`` and ``import``: to another machine, or to another program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ragd_tune.cli import gguf, onnx
from ragd_tune.cli.output import show_json, size

_PLACE = click.Path(path_type=Path)


@click.command()
@click.argument("adapter")
@click.argument("out", type=_PLACE)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["ragd-tune", "peft", "mlx", "folder", "stanford", "gguf", "onnx"]),
    default="ragd-tune",
    show_default=True,
    help="One archive; a folder for PEFT or mlx-lm; or the whole model, for sentence-transformers "
    "and transformers (folder), ColBERT's programs (stanford), llama.cpp and Ollama (gguf), or "
    "onnxruntime (onnx).",
)
@click.option("--no-records", is_flag=True, help="Leave proofs and provenance out of an archive.")
@click.option("--backend", help="Who writes a whole model; the best backend if not given.")
@gguf.options
@onnx.options
def export(
    adapter: str,
    out: Path,
    *,
    format_: str,
    no_records: bool,
    backend: str | None,
    **given: Any,
) -> None:
    """Write ADAPTER to OUT: one archive, or a folder that another program loads."""
    from ragd_tune.store import Store

    gguf.check(format_, given)
    onnx.check(format_, given)
    graph = {name: given.pop(name) for name in onnx.NAMES}
    if format_ == "onnx":
        onnx.write(adapter, out, backend=backend, **graph)
        return
    if format_ == "gguf":
        gguf.write(adapter, out, backend=backend, **given)
        return

    if format_ == "ragd-tune":
        path = Store().export(adapter, out, records=not no_records)
        click.echo(f"wrote {path} ({size(path.stat().st_size)})")
        return
    if format_ in {"folder", "stanford"}:
        from ragd_tune.pipeline.exporting import export_model
        from ragd_tune.registry import discover

        files = export_model(discover(), Store(), adapter, format_, out, backend=backend)
        click.echo(f"wrote {len(files)} files into {out}")
        return
    from ragd_tune.pipeline.crossing import export_folder

    for path in export_folder(Store(), adapter, out, format=format_):
        click.echo(f"wrote {path} ({size(path.stat().st_size)})")


@click.command(name="import")
@click.argument("source", type=_PLACE)
@click.option("--name", help="Name of the adapter in the store.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["auto", "ragd-tune", "peft", "mlx"]),
    default="auto",
    show_default=True,
    help="Told by the files unless given.",
)
@click.option("--base", help="Base model of a folder of PEFT or mlx-lm, where it names none.")
@click.option("--kind", help="Kind of model, where the folder does not say what it is for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(
    source: Path,
    *,
    name: str | None,
    format_: str,
    base: str | None,
    kind: str | None,
    as_json: bool,
) -> None:
    """Bring an archive or a folder into the store: data that is checked, never code that runs."""
    from ragd_tune.pipeline import crossing
    from ragd_tune.store import Store

    found = crossing.format_of(source) if format_ == "auto" else format_
    if found == crossing.OURS:
        from ragd_tune.pipeline.adopting import import_adapter

        entry = import_adapter(Store(), source, name=name)
    else:
        from ragd_tune.registry import discover

        entry = crossing.import_folder(
            Store(), discover(), source, format=found, kind=kind, base=base, name=name
        )
    if as_json:
        show_json({"id": entry.id, "path": str(entry.path), "names": list(entry.names)})
        return
    click.echo(f"{entry.shown} ({entry.id[:12]}) is in the store; its proofs were made elsewhere")
    click.echo(f"prove it here: ragd-tune evaluate {entry.shown} --data DATA")
