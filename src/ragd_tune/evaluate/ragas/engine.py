"""One run of RAGAS: samples in, scores out, each with a bound of time."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ragd_tune.data.journal import Journal
from ragd_tune.data.llm.address import check
from ragd_tune.errors import NotInstalledError, TuneError
from ragd_tune.evaluate.ragas.values import Judge, Judged, Task
from ragd_tune.lines import lines_of

DRIVER = Path(__file__).with_name("driver.py")
PINS = (
    'pip install "ragas>=0.4.3,<0.5" "langchain-community<0.4" in an environment of its own, and '
    "name its interpreter with --python; see docs/how-to/ragas.md"
)

_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


def judge(
    tasks: Sequence[Task],
    by: Judge,
    folder: Path,
    *,
    progress: Callable[[str, float], None] = lambda text, done: None,
) -> Judged:
    """Have RAGAS score each task once.

    Scores are kept in ``folder`` as they come: the same call goes on where an earlier one was
    stopped. What the libraries print goes into ``ragas.log`` there.

    :raises UsageError: the endpoint is on another machine, and that was not allowed.
    :raises NotInstalledError: the interpreter cannot be run, or has no RAGAS that imports.
    :raises TuneError: it ended, or nothing came for too long; the message names the log.
    """
    failed: dict[str, str] = {}
    versions: dict[str, str] = {}
    with Journal(folder / "scores.jsonl", by.header) as journal:
        open_ = {one.key: one for one in tasks if one.key not in journal}
        done = 0
        with contextlib.closing(_answers(_job(by, open_), by, folder / "ragas.log")) as answers:
            for answer in answers if open_ else ():
                if "versions" in answer:
                    versions = answer["versions"]
                    continue
                if "score" in answer:
                    journal.add(answer["key"], {"score": answer["score"]})
                else:
                    failed[answer["key"]] = answer["error"]
                done += 1
                progress(f"{by.model} judges", done / len(open_))
        scores = {
            one.key: float(str(journal.get(one.key)["score"]))
            for one in tasks
            if one.key in journal
        }
    return Judged(scores=scores, failed=failed, versions=versions)


def _job(by: Judge, tasks: Mapping[str, Task]) -> dict[str, Any]:
    """Return what the driver reads. The address that was checked is the one that is asked."""
    address = check(by.url, allow_remote=by.allow_remote)
    # a certificate is for a name
    host = address.host if address.scheme == "https" else _bracketed(address.ip)
    return {
        "url": f"{address.scheme}://{host}:{address.port}{address.path}",
        "model": by.model,
        "embedding_model": by.embedding_model,
        "local": not by.allow_remote,
        "timeout": by.timeout,
        "workers": by.workers,
        "tasks": [
            {"key": key, "metric": one.metric, **one.sample.to_json()} for key, one in tasks.items()
        ],
    }


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def _answers(job: Mapping[str, Any], by: Judge, log: Path) -> Generator[dict[str, Any], None, None]:
    """Run the driver and yield what it answers; it is ended when the caller stops listening."""
    process = _started(by.python or Path(sys.executable), log)
    assert process.stdin is not None
    assert process.stdout is not None
    lines = lines_of(process.stdout)
    try:
        with contextlib.suppress(OSError):  # it died already: the silence that follows says so
            process.stdin.write(json.dumps(job))
            process.stdin.close()
        while line := _next(lines, by, log):
            answer = json.loads(line)
            if "missing" in answer:
                what = f"{by.python or sys.executable} has no RAGAS: {answer['missing']}"
                raise NotInstalledError(what, mend=PINS)
            if "stop" in answer:
                raise TuneError(f"RAGAS stopped: {answer['stop']}", mend=f"see {log}")
            if "end" in answer:
                return
            yield answer
        raise TuneError(
            f"RAGAS ended before it was done: {_last_words(log)}",
            mend=f"{log} has everything that it printed",
        )
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _started(python: Path, log: Path) -> subprocess.Popen[str]:
    try:
        with log.open("w", encoding="utf-8") as file:
            return subprocess.Popen(
                [str(python), "-u", str(DRIVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                encoding="utf-8",
                cwd=log.parent,
                env=_environment(),
            )
    except OSError as error:
        raise NotInstalledError(f"{python} cannot be run: {error}", mend=PINS) from error


def _environment() -> dict[str, str]:
    """Return this process's environment without its Python and proxies, and without tracking."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "OPENAI_", "LANGCHAIN_", "LANGSMITH_"))
        and name.lower() not in _PROXIES
    }
    return own | {"RAGAS_DO_NOT_TRACK": "true", "HF_HUB_OFFLINE": "1"}


def _next(lines: queue.Queue[str], by: Judge, log: Path) -> str:
    try:
        return lines.get(timeout=by.silence)
    except queue.Empty as error:
        raise TuneError(
            f"{by.model} at {by.url} gave no score within {by.silence:g} seconds, and RAGAS was "
            f"ended; {log} has what it printed",
            mend="take a faster model, or give it more time with --seconds",
        ) from error


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
