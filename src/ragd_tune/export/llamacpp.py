"""A GGUF file asked by llama.cpp, in a process of its own and by an interpreter that has it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.errors import NotInstalledError, TuneError
from ragd_tune.export import llamacpp_driver

PACKAGE = "xllamacpp"
SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer; ``top`` are the likeliest first tokens by id, with their log-probabilities."""

    text: str
    top: Mapping[int, float]


def has_llama(python: Path | None = None) -> bool:
    """Say whether an interpreter (this one if None) has ``xllamacpp``, without loading it."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({PACKAGE!r}) is None)"
    try:
        done = subprocess.run(
            [_python(python), "-c", code], capture_output=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def ask_gguf(
    model: Path,
    prompts: Sequence[str],
    *,
    tokens: int,
    stop: Sequence[str] = (),
    context: int = 4096,
    top: int = 3,
    python: Path | None = None,
    seconds: float = SECONDS,
) -> list[Told]:
    """Return the greedy answers of ``model`` to whole prompts: no template is put around them.

    :param tokens: tokens of an answer at most.
    :param context: tokens of prompt and answer together.
    :param python: the interpreter that has ``xllamacpp``; this one if None.
    :raises NotInstalledError: it has not.
    :raises TuneError: llama.cpp cannot load the file or does not answer in time; with its words.
    """
    if not has_llama(python):
        raise NotInstalledError(
            f"{_python(python)} has no {PACKAGE}, which asks a GGUF file",
            mend=f"pip install {PACKAGE}, or name a Python that has it: --python",
        )
    job = {
        "model": str(model), "context": context, "tokens": tokens, "stop": [*stop], "top": top,
        "prompts": [*prompts],
    }  # fmt: skip
    command = [_python(python), "-P", str(Path(llamacpp_driver.__file__).resolve())]
    try:
        done = subprocess.run(
            command, input=json.dumps(job), capture_output=True, text=True, encoding="utf-8",
            errors="replace", check=False, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TuneError(f"llama.cpp did not answer within {seconds:.0f} s") from error
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise TuneError(
            f"llama.cpp cannot answer with {model} (code {done.returncode}):\n{last}",
            mend="a newer xllamacpp may know this architecture",
        )
    return [
        Told(text=one["text"], top={int(key): value for key, value in one["top"].items()})
        for one in json.loads(done.stdout)
    ]


def _python(python: Path | None) -> str:
    return str(python or sys.executable)
