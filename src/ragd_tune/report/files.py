"""A report as a file; its ending says what is written. Whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.report import picture
from ragd_tune.report.page import page
from ragd_tune.report.story import Story

ENDINGS = (".html", ".json", ".svg", ".png")


def check(path: Path) -> Path:
    """Return ``path`` if a report can be written there: ask before the work, not after it.

    :raises UsageError: another ending, no such folder, or it is a folder.
    :raises NotInstalledError: what draws a PNG is not here.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"{path}: a report cannot be written as {path.suffix or 'a file without an ending'}",
            mend=f"let its name end in {' or '.join(ENDINGS)}",
        )
    if path.is_dir() or not path.parent.is_dir():
        why = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise UsageError(f"{path}: {why}", mend="name a file in a folder that exists")
    if path.suffix.lower() == ".png":
        picture.check_png()
    return path


def write(story: Story, path: Path) -> Path:
    """Write the report; an older one is replaced in one step.

    :raises UsageError: as :func:`check`.
    :raises TuneError: the disk refuses.
    """
    raw = _bytes(story, check(path).suffix.lower())
    try:
        _replace(path, raw)
    except OSError as error:
        raise TuneError(
            f"{path}: {error.strerror or error}", mend="check the disk's free space and rights"
        ) from error
    return path


def _bytes(story: Story, ending: str) -> bytes:
    if ending == ".json":
        told = json.dumps(story.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
        return f"{told}\n".encode()
    if ending == ".png":
        return picture.png(story)
    return (picture.svg if ending == ".svg" else page)(story).encode()


def _replace(path: Path, raw: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        draft.chmod(0o644)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
