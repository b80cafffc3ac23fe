"""``adapters export --format gguf``: a language model for llama.cpp and Ollama, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragd_tune.cli.output import size
from ragd_tune.errors import UsageError

if TYPE_CHECKING:
    from ragd_tune.export.difference import Difference

_FILE = click.Path(path_type=Path)
_FLAGS = {
    "converter": "--converter",
    "gguf_type": "--gguf-type",
    "gguf_python": "--gguf-python",
    "prompts": "--prompts",
}


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what only this format takes."""
    made = [
        click.option(
            "--converter", type=_FILE, help="Path of llama.cpp's convert_hf_to_gguf.py (gguf)."
        ),
        click.option(
            "--gguf-type",
            type=click.Choice(["f32", "f16", "bf16", "q8_0"]),
            help="Number format of the weights (gguf); bf16 if not given.",
        ),
        click.option(
            "--gguf-python",
            type=_FILE,
            help="Python with what the converter imports, and with xllamacpp (gguf).",
        ),
        click.option(
            "--prompts",
            type=_FILE,
            help="Text file of prompts to compare by, with a line --- between two (gguf).",
        ),
    ]
    for option in reversed(made):
        command = option(command)
    return command


def check(format_: str, given: Mapping[str, object]) -> None:
    """Refuse these options where another format is written, and this format without a converter."""
    named = [flag for name, flag in _FLAGS.items() if given[name] is not None]
    if format_ != "gguf" and named:
        raise UsageError(f"{named[0]} is for --format gguf", mend="leave it out")
    if format_ == "gguf" and given["converter"] is None:
        raise UsageError(
            "llama.cpp's converter writes GGUF, and it was not named",
            mend="--converter PATH of its convert_hf_to_gguf.py: it is in llama.cpp's repository, "
            "and in the source distribution of llama-cpp-python",
        )


def write(
    adapter: str,
    out: Path,
    *,
    converter: Path,
    gguf_type: str | None,
    gguf_python: Path | None,
    prompts: Path | None,
    backend: str | None,
) -> None:
    """Export, then have both models answer the same prompts, and say where they part."""
    from ragd_tune.export.difference import made_up_prompts, read_prompts
    from ragd_tune.export.llamacpp import has_llama
    from ragd_tune.pipeline.gguf import compare_gguf, export_gguf
    from ragd_tune.pipeline.workshop import workshop

    asked = read_prompts(prompts) if prompts else made_up_prompts()
    shop = workshop()
    made = export_gguf(
        shop, adapter, out, converter=converter, form=gguf_type or "bf16", python=gguf_python,
        backend=backend,
    )  # fmt: skip
    click.echo(f"wrote {made.weights} ({size(made.weights.stat().st_size)}) and a Modelfile")
    if has_llama(gguf_python):
        show(compare_gguf(shop, adapter, made, asked, python=gguf_python))
    else:
        click.echo(
            "not compared with the adapter: that needs xllamacpp (pip install xllamacpp, or a "
            "Python that has it by --gguf-python)"
        )
    click.echo(f"for Ollama: ollama create NAME -f {out / 'Modelfile'}")


def show(found: list[Difference]) -> None:
    """Say of each prompt whether the answers are the same, and what that means."""
    same = sum(one.same for one in found)
    for number, one in enumerate(found, 1):
        click.echo(f"prompt {number}: {one.told()}")
    click.echo(f"{same} of {len(found)} answers are the same as the adapter's")
    if same < len(found):
        click.echo("late and small differences are rounding; early ones are a reason not to use it")
