"""Writing a loaded model for other programs."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.errors import UsageError
from ragd_tune_mlx import folder, lora
from ragd_tune_mlx.embedder import build
from ragd_tune_mlx.late.serve import MultiEncoder
from ragd_tune_mlx.lm.generator import Generator
from ragd_tune_mlx.recipe import CPU_HAS_IT
from ragd_tune_mlx.relevance.serve import PairScorer
from ragd_tune_mlx.serve import Encoder

FORMATS = ("folder",)


def export(
    model: Encoder | Generator | MultiEncoder | PairScorer, format_: str, out: Path
) -> list[Path]:
    """Write ``model`` under ``out``, an adapter merged into its weights.

    :raises UsageError: the format is not ``folder``, or ``out`` holds something.
    """
    if format_ not in FORMATS:
        raise UsageError(
            f"the backend mlx does not write the format {format_!r}",
            mend=f"it writes {', '.join(FORMATS)}",
        )
    if isinstance(model, (MultiEncoder, PairScorer)):
        raise UsageError("the backend mlx does not write rerankers as a folder", mend=CPU_HAS_IT)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is there already", mend="name a folder that is not")
    if isinstance(model, Generator):
        return model.export(out)
    merged = build(model.base.recipe, lora.merged(model.model, model.base.arrays))
    return folder.write(merged, out, model.base.recipe, model.facts)
