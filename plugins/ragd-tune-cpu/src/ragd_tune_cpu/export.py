"""Writing a loaded model for other programs."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.errors import UsageError
from ragd_tune_cpu.encoder import Encoder
from ragd_tune_cpu.folder import save

FORMATS = ("folder",)


def export(encoder: Encoder, format_: str, out: Path) -> list[Path]:
    """Write ``encoder`` under ``out``; an adapter is in the weights already.

    :raises UsageError: the format is not ``folder``, or ``out`` holds something.
    """
    if format_ not in FORMATS:
        raise UsageError(
            f"the backend cpu does not write the format {format_!r}",
            mend=f"it writes {', '.join(FORMATS)}",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is there already", mend="name a folder that is not")
    return save(encoder.model, out, encoder.facts)
