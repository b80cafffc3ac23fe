"""GGUF by llama.cpp's own converter, whose path the user gives."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ragd_tune.errors import NotInstalledError, TuneError, UsageError

CONVERTER = "convert_hf_to_gguf.py"
TYPES = ("f32", "f16", "bf16", "q8_0")
_MAGIC = b"GGUF"
_MEND = (
    f"give the path of llama.cpp's {CONVERTER}: it is in llama.cpp's repository, and in the source "
    "distribution of llama-cpp-python"
)


def convert(
    folder: Path, out: Path, *, converter: Path, form: str = "bf16", python: Path | None = None
) -> Path:
    """Convert the model in ``folder`` (safetensors, merged) into the GGUF file ``out``.

    The converter runs in a process of its own. It is the user's program: nothing of it is trusted
    but the file that it leaves.

    :param form: number format of the weights, one of :data:`TYPES`.
    :param python: interpreter that has what the converter imports; this one if None.
    :raises NotInstalledError: there is no converter at that path.
    :raises TuneError: it failed; the message ends with its own last lines.
    """
    script = converter / CONVERTER if converter.is_dir() else converter
    if not script.is_file():
        raise NotInstalledError(f"{converter}: there is no {CONVERTER}", mend=_MEND)
    if form not in TYPES:
        raise UsageError(f"GGUF cannot be written as {form!r}", mend=f"take {', '.join(TYPES)}")
    if out.exists():
        raise UsageError(f"{out}: is there already", mend="name a file that is not")
    part = out.with_name(f"{out.name}.part")
    command = [str(python or sys.executable), str(script), str(folder), "--outfile", str(part)]
    done = subprocess.run(
        [*command, "--outtype", form], capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or not _is_gguf(part):
        part.unlink(missing_ok=True)
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise TuneError(
            f"{script.name} made no GGUF of {folder} (code {done.returncode}):\n{last}",
            mend=_mend(last),
        )
    part.replace(out)
    return out


def _mend(last: str) -> str:
    """Return what to do about the last lines of a converter that failed."""
    missing = re.search(r"No module named '([\w.]+)'", last)
    if missing:
        return (
            f"install what has the module {missing[1]} for that Python, or name another Python: "
            "--gguf-python PATH"
        )
    return "look at its message; a converter of another release may know this architecture"


def _is_gguf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == _MAGIC
