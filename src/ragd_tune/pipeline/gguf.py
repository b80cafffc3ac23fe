"""A tuned language model for llama.cpp and Ollama, and whether it still says the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.errors import UsageError
from ragd_tune.export import FILE, WEIGHTS, convert, filled
from ragd_tune.export.difference import Difference, together
from ragd_tune.export.llamacpp import ask_gguf
from ragd_tune.export.ollama import Ollama, read_modelfile
from ragd_tune.pipeline.exporting import export_model, open_adapter
from ragd_tune.pipeline.workshop import Workshop

MARK = "ragd-tune-export.json"
"""Says which adapter an exported folder was made of."""

TOKENS = 48
"""Tokens of an answer that is compared: rounding parts long answers in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A folder with the merged model, ``model.gguf`` and a Modelfile."""

    out: Path

    @property
    def weights(self) -> Path:
        """The GGUF file."""
        return self.out / WEIGHTS

    @property
    def files(self) -> list[Path]:
        """All files, sorted."""
        return sorted(path for path in self.out.rglob("*") if path.is_file())


def export_gguf(
    shop: Workshop,
    ref: str,
    out: Path,
    *,
    converter: Path,
    form: str = "bf16",
    python: Path | None = None,
    backend: str | None = None,
) -> Exported:
    """Merge the adapter ``ref`` in full precision, convert it, and write a Modelfile for it.

    Everything is made beside ``out`` and moved there whole.

    :param converter: llama.cpp's ``convert_hf_to_gguf.py``, or the folder that holds it.
    :param form: number format of the GGUF file's weights.
    :param python: the interpreter that has what the converter imports; this one if None.
    :raises UsageError: ``out`` is there already, or this adapter is no language model.
    :raises TuneError: the converter failed; with its words.
    """
    if out.exists():
        raise UsageError(f"{out}: is there already", mend="name a folder that is not")
    entry = shop.store.get(ref)
    if entry.manifest.objective != "causal_lm":
        raise UsageError(
            f"{entry.shown} is no language model ({entry.kind}): GGUF is for those",
            mend="use --format folder",
        )
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        export_model(shop.registry, shop.store, ref, "ollama", part, backend=backend)
        convert(part, part / WEIGHTS, converter=converter, form=form, python=python)
        mark = {"adapter": entry.id, "type": form}
        (part / MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8", newline="\n")
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Exported(out=out)


def adapter_of(folder: Path) -> str:
    """Return the content id of the adapter that ``folder`` was exported from; empty if unknown."""
    try:
        told = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(told.get("adapter", "")) if isinstance(told, dict) else ""


def compare_gguf(
    shop: Workshop,
    ref: str,
    exported: Exported,
    prompts: Sequence[str],
    *,
    tokens: int = TOKENS,
    python: Path | None = None,
) -> list[Difference]:
    """Have the adapter and the GGUF file answer the same prompts, both greedily.

    The GGUF file gets what Ollama would make of a prompt by the Modelfile.

    :raises NotInstalledError: ``python`` has no ``xllamacpp``.
    """
    told = read_modelfile(exported.out / FILE)
    options = told["parameters"]
    assert isinstance(options, dict)
    template, system = str(told["template"]), str(told.get("system", ""))
    theirs = ask_gguf(
        exported.weights,
        [filled(template, prompt, system) for prompt in prompts],
        tokens=tokens,
        stop=options.get("stop", ()),
        context=options["num_ctx"],
        python=python,
    )
    return together(prompts, _ours(shop, ref, prompts, tokens), [one.text for one in theirs])


def compare_ollama(
    shop: Workshop,
    ref: str,
    ollama: Ollama,
    name: str,
    prompts: Sequence[str],
    *,
    tokens: int = TOKENS,
) -> list[Difference]:
    """Have the adapter and Ollama's model ``name`` answer the same prompts, both greedily."""
    theirs = [ollama.generate(name, prompt, tokens=tokens) for prompt in prompts]
    return together(prompts, _ours(shop, ref, prompts, tokens), theirs)


def _ours(shop: Workshop, ref: str, prompts: Sequence[str], tokens: int) -> list[str]:
    from ragd_tune.backends import Limits

    with open_adapter(shop.registry, shop.store, shop.store.get(ref)) as model:
        return model.generate(prompts, Limits(max_tokens=tokens))
