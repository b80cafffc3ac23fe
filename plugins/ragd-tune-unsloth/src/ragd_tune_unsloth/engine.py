"""Importing Unsloth: first, once, and without the traces that it would leave.

Unsloth patches transformers, TRL and PEFT while it is imported, and all processes that have it are
patched for good. So it is imported in the worker that trains, and never where models are served.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from typing import Any

from ragd_tune.errors import TuneError

PATCHED = ("transformers", "trl", "peft", "sentence_transformers")
"""What has to be imported after it."""


def start() -> Any:
    """Import Unsloth, before everything that it patches, and return it.

    :raises TuneError: something that it patches was imported before it, or it cannot be imported.
    """
    if "unsloth" not in sys.modules:
        early = [one for one in PATCHED if one in sys.modules]
        if early:
            raise TuneError(
                f"Unsloth has to be imported before {early[0]}",
                mend="train in a process of its own, as `ragd-tune train` does",
            )
        _keep_to_itself()
    try:
        import unsloth
    except Exception as error:
        raise TuneError(f"Unsloth cannot be imported: {error}", mend="see its message") from error
    return unsloth


def fast(name: str) -> Any:
    """Return Unsloth's class ``name``.

    :raises TuneError: this release of it, or this machine, has none.
    """
    made = start()
    found = getattr(made, name, None)
    if found is None:
        raise TuneError(f"Unsloth {made.__version__} has no {name} on this machine")
    return found


def _keep_to_itself() -> None:
    """Have it ask no server, and write what it compiles to a place that goes away."""
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    if "UNSLOTH_COMPILE_LOCATION" not in os.environ:
        place = tempfile.mkdtemp(prefix="ragd-tune-unsloth-")
        os.environ["UNSLOTH_COMPILE_LOCATION"] = place
        atexit.register(shutil.rmtree, place, ignore_errors=True)
