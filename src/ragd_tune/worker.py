"""Training in a process of its own: a plan in, events out.

The run's folder holds ``plan.json`` and ``rows/``; the worker adds ``events.jsonl``,
``result.json``, ``worker.log`` and what its backend writes. Events also come line by line over the
worker's standard output. A line ``stop``, or the end of its standard input (the parent died),
makes it save a checkpoint and end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, NoReturn

from ragd_tune import errors
from ragd_tune.errors import InterruptedRunError, TuneError, WorkerError
from ragd_tune.objectives import Rows
from ragd_tune.plan import Estimate, Event, Stop, TrainPlan, TrainResult
from ragd_tune.registry import Registry, discover

RESULT = "result.json"


def prepare(plan: TrainPlan, rows: Rows) -> Path:
    """Write the run's folder and return it."""
    run = plan.out.parent
    rows.write(run / "rows")
    text = json.dumps(plan.to_json(), indent=1, ensure_ascii=False)
    (run / "plan.json").write_text(text + "\n", encoding="utf-8")
    return run


# -- the parent's side ---------------------------------------------------------------------------


def run(
    folder: Path,
    observe: Callable[[Event], None],
    *,
    python: Path | None = None,
    estimate: bool = True,
) -> TrainResult:
    """Train what lies in ``folder`` in a new process and return its result.

    The first Ctrl-C lets the step end and keeps a checkpoint, the second kills the worker.

    :param python: another environment's interpreter, with ragd-tune and the backend in it.
    :raises InterruptedRunError: Ctrl-C; what was kept lies under ``folder``.
    :raises WorkerError: the process ended without a result; says how, and where its log is.
    :raises TuneError: what the backend raised.
    """
    reader = _Reader(folder, observe)
    return reader.result(_ran(reader, python, [] if estimate else ["--no-estimate"]))


def measure(folder: Path, *, python: Path | None = None) -> Estimate:
    """Time some steps of what lies in ``folder`` in a new process, and train nothing.

    :raises InterruptedRunError: Ctrl-C.
    :raises WorkerError: the process ended without an estimate; says how, and where its log is.
    :raises TuneError: what the backend raised.
    """
    reader = _Reader(folder, lambda event: None)
    code = _ran(reader, python, ["--only-estimate"])
    if reader.estimate is None or code != 0:
        reader.result(code or 1)  # says what went wrong
    assert reader.estimate is not None
    return reader.estimate


def _ran(reader: _Reader, python: Path | None, more: list[str]) -> int:
    """Run a worker to its end, and return its exit code."""
    folder = reader.folder
    # -P: a folder of documents may hold a torch.py; the worker must not import from there.
    command = [str(python or sys.executable), "-P", "-m", "ragd_tune.worker", str(folder), *more]
    with (folder / "worker.log").open("ab") as log:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        except OSError as error:
            raise WorkerError(
                f"{command[0]}: cannot be started: {error}", mend="look at --python"
            ) from error
        try:
            _drain(process, reader)
        finally:
            if process.poll() is None:
                process.kill()
            code = process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with _quiet():
                    pipe.close()
    return code


class _quiet:
    """Closing a pipe to a dead process may fail; there is nothing left to lose then."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        return isinstance(error, OSError)


def _drain(process: subprocess.Popen[bytes], reader: _Reader) -> None:
    assert process.stdout is not None
    while True:
        try:
            for line in process.stdout:
                reader.take(line)
        except KeyboardInterrupt:
            if reader.stopping:
                process.kill()
                return
            reader.stopping = True
            reader.observe(Event(type="log", message="stopping after this step …"))
            tell(process, "stop")
            continue
        return


def tell(process: subprocess.Popen[bytes], word: str) -> None:
    """Send the worker a line; a worker that is gone already needs none."""
    assert process.stdin is not None
    try:
        process.stdin.write(word.encode() + b"\n")
        process.stdin.flush()
    except OSError:
        logging.getLogger(__name__).debug("the worker is gone already")


class _Reader:
    """Reads the worker's lines and knows how it ended."""

    def __init__(self, folder: Path, observe: Callable[[Event], None]) -> None:
        self.folder = folder
        self.observe = observe
        self.stopping = False
        self.error: TuneError | None = None
        self.stopped = False
        self.estimate: Estimate | None = None
        self.step = 0
        self.kept = 0

    def take(self, line: bytes) -> None:
        raw = json.loads(line)
        if "error" in raw:
            self.error = errors.from_json(raw)
        elif "stopped" in raw:
            self.stopped = True
        elif "type" in raw:
            event = Event.from_json(raw)
            self.step = max(self.step, event.step)
            self.estimate = event.estimate or self.estimate
            if event.type in {"start", "checkpoint"}:  # a resumed run starts at what was kept
                self.kept = event.step
            self.observe(event)

    def result(self, code: int) -> TrainResult:
        if self.error is not None:
            raise self.error
        if self.stopped or self.stopping:
            kept = f"a checkpoint of step {self.kept} was kept" if self.kept else "nothing was kept"
            raise InterruptedRunError(f"training was stopped at step {self.step}; {kept}")
        path = self.folder / RESULT
        if code != 0 or not path.is_file():
            raise _died(code, self.step, self.kept, self.folder)
        return TrainResult.from_json(json.loads(path.read_text(encoding="utf-8")))


def _died(code: int, step: int, kept: int, folder: Path) -> WorkerError:
    how = f"ended with code {code}"
    if code < 0:
        how = f"was killed by signal {-code}"
        if -code == getattr(signal, "SIGKILL", 9):
            how += " (a system that runs out of memory does that)"
    saved = f"a checkpoint of step {kept} was kept" if kept else "no checkpoint was kept yet"
    again = "run the same command with --resume" if kept else "run the same command again"
    return WorkerError(
        f"the training process {how} at step {step}; {saved}; its log is {folder / 'worker.log'}",
        mend=f"{again}; if memory ran out, with a smaller --batch-size",
    )


# -- the worker's side ---------------------------------------------------------------------------


def main(arguments: list[str], registry: Registry | None = None) -> int:
    """Do the work of ``python -m ragd_tune.worker FOLDER [--no-estimate | --only-estimate]``."""
    folder = Path(arguments[0])
    # Frameworks print; what they print belongs into the log and not between the events.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the parent's to answer
    post = _Post(folder, out)
    threading.Thread(target=post.listen, args=(sys.stdin,), daemon=True).start()
    try:
        _work(folder, registry or discover(), post, flags=arguments[1:])
    except Stop:
        post.send({"stopped": True})
    except TuneError as error:
        traceback.print_exc()
        post.send(error.to_json())
        return error.exit_code
    except MemoryError:
        traceback.print_exc()
        mend = "use a smaller --batch-size or --max-length"
        post.send(errors.DoesNotFitError("memory ran out", mend=mend).to_json())
        return 1
    except Exception as error:  # noqa: BLE001 - whatever a backend raises becomes one message
        traceback.print_exc()
        name = type(error).__name__
        log = folder / "worker.log"
        post.send(WorkerError(f"training failed: {name}: {error}", mend=f"see {log}").to_json())
        return 1
    return 0


class _Post:
    """Sends events to the parent and to ``events.jsonl``, and hears ``stop``."""

    def __init__(self, folder: Path, out: IO[str]) -> None:
        self.run = folder.name
        self.out = out
        self.stop = threading.Event()
        self.file = (folder / "events.jsonl").open("a", encoding="utf-8", buffering=1)

    def listen(self, source: IO[str]) -> None:
        for line in source:
            if line.strip() == "stop":
                break
        self.stop.set()

    def send(self, raw: dict[str, object]) -> None:
        line = json.dumps(raw) + "\n"
        self.file.write(line)
        try:
            self.out.write(line)
        except OSError:  # the parent died: end as if it had said stop
            self.stop.set()

    def emit(self, event: Event) -> None:
        self.send(replace(event, run=self.run).to_json())
        if self.stop.is_set() and event.type in {"step", "estimate", "load"}:
            raise Stop


def _work(folder: Path, registry: Registry, post: _Post, *, flags: Sequence[str]) -> None:
    plan = TrainPlan.from_json(json.loads((folder / "plan.json").read_text(encoding="utf-8")))
    plan = replace(plan, out=folder / "out")
    rows = Rows.read(folder / "rows", registry.objectives[plan.objective])
    if rows.fingerprint != plan.rows_fingerprint:
        raise WorkerError(f"{folder / 'rows'}: these are not the rows of the plan")
    made = None
    if "--no-estimate" not in flags:
        made = registry.call(plan.backend, "ragd_tune_estimate", plan=plan, rows=rows)
        post.emit(Event(type="estimate", steps=made.steps, estimate=made))
    if "--only-estimate" in flags:
        return
    started = time.perf_counter()
    result: TrainResult = registry.call(
        plan.backend, "ragd_tune_train", plan=plan, rows=rows, emit=post.emit
    )
    if not result.seconds:
        result = replace(result, seconds=time.perf_counter() - started)
    result = replace(result, estimate=made or result.estimate)
    temporary = folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(result.to_json()), encoding="utf-8")
    temporary.replace(folder / RESULT)


def _exit() -> NoReturn:
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # Frameworks' threads can hang or crash an interpreter that tears itself down.
    logging.shutdown()
    sys.exit(code)


if __name__ == "__main__":
    _exit()
