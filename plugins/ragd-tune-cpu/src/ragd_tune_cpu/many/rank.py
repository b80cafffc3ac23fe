"""One of the processes of a training: ``python -m ragd_tune_cpu.many.rank train FOLDER``.

Started by torchrun. The first one of each machine writes checkpoints and the adapter where the plan
says, and tells the hook what happens. The others do the same work and write into a folder that goes
away: they all hold the same weights.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ragd_tune.errors import TuneError, WorkerError
from ragd_tune.objectives import Rows
from ragd_tune.plan import Event, Stop, TrainPlan
from ragd_tune.registry import discover
from ragd_tune_cpu.many.launch import CHANNEL


class Voice:
    """How a process tells what happens: a machine's first to the hook, others to nobody."""

    def __init__(self, *, leads: bool) -> None:
        self.file: Any = None
        if leads:
            port, word = os.environ[CHANNEL].split()
            connection = socket.create_connection(("127.0.0.1", int(port)))
            self.file = connection.makefile("rw", encoding="utf-8", newline="\n")
            self.file.write(word + "\n")
            self.file.flush()

    def tell(self, raw: dict[str, object]) -> None:
        """Say something that needs no answer."""
        if self.file is not None:
            with contextlib.suppress(OSError):
                self.file.write(json.dumps(raw) + "\n")
                self.file.flush()

    def emit(self, event: Event) -> None:
        """Report an event; all processes stop after the same step."""
        from ragd_tune_cpu.many.group import GROUP

        stop = False
        if self.file is not None:
            try:
                self.file.write(json.dumps(event.to_json()) + "\n")
                self.file.flush()
                stop = self.file.readline().strip() != "go"
            except OSError:  # the hook is gone: keep a checkpoint and end
                stop = True
        if event.type == "step" and GROUP.most(float(stop)) > 0:
            raise Stop


def main(what: str, folder: Path) -> int:
    """Join the others, train or estimate, and tell the outcome."""
    local, rank, size = (int(os.environ[n]) for n in ("LOCAL_RANK", "RANK", "WORLD_SIZE"))
    plan = TrainPlan.from_json(json.loads((folder / "plan.json").read_text(encoding="utf-8")))
    rows = Rows.read(folder / "rows", discover().objectives[plan.objective])
    if plan.device == "cuda":
        _see_one_gpu(local)
    _join(plan, rank, size)
    voice = Voice(leads=local == 0)
    try:
        with _place(plan, leads=local == 0) as own:
            voice.tell({"result": _work(what, own, rows, voice)})
    except Stop:
        voice.tell({"stopped": True})
    except TuneError as error:
        traceback.print_exc()
        voice.tell(error.to_json())
    except Exception as error:  # noqa: BLE001 - whatever it is, the hook makes one message of it
        traceback.print_exc()
        name = type(error).__name__
        voice.tell(WorkerError(f"training failed: {name}: {error}").to_json())
        return 1
    return 0


def _see_one_gpu(local: int) -> None:
    """Leave this process one GPU: libraries take the first that they see. Before torch is there."""
    known = os.environ.get("CUDA_VISIBLE_DEVICES")
    ids = known.split(",") if known else [str(number) for number in range(local + 1)]
    os.environ["CUDA_VISIBLE_DEVICES"] = ids[local]


def _join(plan: TrainPlan, rank: int, size: int) -> None:
    import torch.distributed as dist

    from ragd_tune_cpu.many.group import GROUP

    dist.init_process_group("nccl" if plan.device == "cuda" else "gloo")
    GROUP.join(rank, size, plan.device)
    # The trainer's library would take these for an order to wrap the model and split the batches.
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        os.environ.pop(name, None)


@contextlib.contextmanager
def _place(plan: TrainPlan, *, leads: bool) -> Iterator[TrainPlan]:
    """Return the plan with the place where this process writes; all start at one checkpoint."""
    from ragd_tune_cpu.many.group import GROUP

    if leads:
        GROUP.most(0)  # the others have read the checkpoints
        yield plan
        return
    with tempfile.TemporaryDirectory() as place:
        kept = plan.out.parent / "checkpoints"
        if kept.is_dir():
            shutil.copytree(kept, Path(place) / "checkpoints")
        GROUP.most(0)
        yield replace(plan, out=Path(place) / "out")


def _work(what: str, plan: TrainPlan, rows: Rows, voice: Voice) -> dict[str, object]:
    if what == "estimate":
        from ragd_tune_cpu.estimate import estimate

        return asdict(estimate(plan, rows))
    from ragd_tune_cpu.train import train

    return train(plan, rows, voice.emit).to_json()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
