"""Writing a loaded model for other programs."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.errors import UsageError
from ragd_tune_cpu.encoder import Encoder
from ragd_tune_cpu.folder import save
from ragd_tune_cpu.late.serve import MultiEncoder
from ragd_tune_cpu.lm.folder import export as export_lm
from ragd_tune_cpu.lm.generator import Generator
from ragd_tune_cpu.relevance.serve import PairScorer


def export(
    model: Encoder | MultiEncoder | PairScorer | Generator, format_: str, out: Path
) -> list[Path]:
    """Write ``model`` under ``out``, with its adapter in the weights.

    A language model is loaded again for it, unquantised and in full precision; ``ollama`` is its
    folder with a Modelfile in it, for the GGUF file ``model.gguf`` that is to be made of it.

    :raises UsageError: it cannot be written in this format, or ``out`` holds something.
    """
    formats = _formats(model)
    if format_ not in formats:
        raise UsageError(
            f"the backend cpu does not write this model in the format {format_!r}",
            mend=f"it writes {', '.join(formats)}",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is there already", mend="name a folder that is not")
    if isinstance(model, MultiEncoder):
        return model.export(format_, out)
    if isinstance(model, Generator):
        return export_lm(model.request, out, ollama=format_ == "ollama")
    if format_ == "onnx" and isinstance(model, Encoder):
        from ragd_tune_cpu.graph import write

        return write(model.model, out, model.facts)
    return save(model.model, out, model.facts)


def _formats(model: object) -> tuple[str, ...]:
    if isinstance(model, MultiEncoder):
        return ("folder", "stanford")
    if isinstance(model, Encoder):
        return ("folder", "onnx")
    return ("folder", "ollama") if isinstance(model, Generator) else ("folder",)
