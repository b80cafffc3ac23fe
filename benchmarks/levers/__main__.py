"""Try levers of a bi-encoder's recipe on the dev splits of BEIR folders, many runs side by side.

    PYTHONPATH=.:src python -m benchmarks.levers BASE OUT.jsonl benchmarks/levers/runs.json SET …

``RUNS.json`` is a list of objects, one a run, each some of the fields of :class:`Lever` and the
``set`` to run on (a folder's name). One line of ``OUT.jsonl`` is one run: its fields, nDCG@10 on
dev at each weight of the tuned model (1 is the tuned model, 0 the base: WiSE-FT), and with
``"test": true`` on test as well. The loop is plain PyTorch, so that a lever costs a line here and
not a feature there; what wins is built into the backend and measured again.

It needs torch and transformers, and the sources of ragd-tune for its batches.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import queue
import sys
import time
from pathlib import Path

from benchmarks.levers.work import Shop, work


def main() -> None:
    """Hand the runs out and write down what comes back."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9)
    asked = parser.parse_args()
    runs = json.loads(asked.runs.read_text(encoding="utf-8"))
    context = multiprocessing.get_context("spawn")
    todo, done = context.Queue(), context.Queue()
    until = time.time() + asked.seconds
    for run in runs:
        todo.put(run)
    for _ in range(asked.workers):
        todo.put(None)
    shop = Shop(asked.base, asked.sets, asked.device)
    arguments = (shop, todo, done, until)
    workers = [
        context.Process(target=work, args=arguments, daemon=True) for _ in range(asked.workers)
    ]
    for worker in workers:
        worker.start()
    written = 0
    with asked.out.open("w", encoding="utf-8") as file:
        while any(w.is_alive() for w in workers) or not done.empty():
            with contextlib.suppress(queue.Empty):
                told = done.get(timeout=1)
                file.write(json.dumps(told) + "\n")
                file.flush()
                written += told.get("teacher") is not True  # a line of a teacher is no run
            if time.time() > until + 15:
                break
    print(f"{written} of {len(runs)} runs are in {asked.out}")
    sys.stdout.flush()
    os._exit(0 if written else 1)


if __name__ == "__main__":
    main()
