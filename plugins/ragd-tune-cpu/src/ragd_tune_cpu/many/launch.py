"""Starting the processes of one training, hearing what they have to say, and stopping them."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragd_tune import errors
from ragd_tune.errors import TuneError, UsageError, WorkerError
from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, Estimate, Event, Stop, TrainPlan, TrainResult

CHANNEL = "_RAGD_TUNE_CHANNEL"
"""Port and word by which the first process of a machine reaches the hook."""

Answer = dict[str, Any]


def several(plan: TrainPlan) -> bool:
    """Say whether ``plan`` wants more than one process, and this is not one of them yet.

    Several machines may have one process each: what torchrun is told counts, too.
    """
    wanted = plan.options.get("processes", 1) != 1 or bool(plan.options.get("cpu.torchrun"))
    return wanted and CHANNEL not in os.environ


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Train ``plan`` in several processes; what they tell comes as if it were one."""
    return TrainResult.from_json(_run("train", plan, rows, emit))


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Measure some steps of ``plan`` in several processes."""
    return Estimate(**_run("estimate", plan, rows, lambda event: None))


def _run(what: str, plan: TrainPlan, rows: Rows, emit: Emit) -> Answer:
    _check(plan)
    word = secrets.token_hex(16)
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows.write(folder / "rows")
        raw = replace(plan, out=plan.out.absolute()).to_json()
        (folder / "plan.json").write_text(json.dumps(raw), encoding="utf-8")
        environ = os.environ | {
            CHANNEL: f"{server.getsockname()[1]} {word}",
            "PYTHONSAFEPATH": "1",  # a folder of documents may hold a torch.py
        }
        command = [*_torchrun(plan), "-m", "ragd_tune_cpu.many.rank", what, str(folder)]
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL)
        try:
            with _accept(server, process, word) as line:
                return _hear(line, emit)
        finally:
            _end(process)


def _check(plan: TrainPlan) -> None:
    if plan.objective != "contrastive":
        raise UsageError(
            f"--processes is for embedding models, and not for {plan.objective}",
            mend="for language models on several GPUs take the launcher axolotl",
        )
    if plan.device == "mps":
        raise UsageError("Apple's GPU is one device", mend="leave --processes out")


def _torchrun(plan: TrainPlan) -> list[str]:
    own = shlex.split(str(plan.options.get("cpu.torchrun") or ""))
    where = own or ["--standalone"]
    count = ["--nproc-per-node", str(plan.integer("processes"))]
    return [sys.executable, "-P", "-m", "torch.distributed.run", *where, *count]


class _Line:
    """A connection to the first process of this machine: lines of JSON, and an answer to each."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rw", encoding="utf-8", newline="\n")

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def __iter__(self) -> Iterator[Answer]:
        try:
            for text in self.file:
                yield json.loads(text)
        except OSError:
            return

    def say(self, word: str) -> None:
        """Answer."""
        self.file.write(word + "\n")
        self.file.flush()


def _accept(server: socket.socket, process: subprocess.Popen[bytes], word: str) -> _Line:
    server.settimeout(0.2)
    while process.poll() is None:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        connection.settimeout(None)
        line = _Line(connection)
        if line.file.readline().strip() == word:  # anybody may knock at a port
            return line
        connection.close()
    raise WorkerError(
        f"the processes ended with code {process.returncode} before they began",
        mend="their messages are in the run's log",
    )


def _hear(line: _Line, emit: Emit) -> Answer:
    for told in line:
        if "result" in told:
            found: Answer = told["result"]
            return found
        if "stopped" in told:
            raise Stop
        if "error" in told:
            raise _error(told)
        try:
            emit(Event.from_json(told))
        except Stop:
            line.say("stop")
        else:
            line.say("go")
    raise WorkerError(
        "one of the processes died, and the others were ended",
        mend="if memory ran out, with a smaller --batch-size; their messages are in the run's log",
    )


def _error(told: Answer) -> TuneError:
    kind = getattr(errors, told["error"], WorkerError)
    known = isinstance(kind, type) and issubclass(kind, TuneError)
    made: TuneError = (kind if known else WorkerError).__new__(kind if known else WorkerError)
    TuneError.__init__(made, told["message"], mend=told.get("mend", ""))
    return made


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the processes end by themselves, else end them."""
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends those that it started
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
