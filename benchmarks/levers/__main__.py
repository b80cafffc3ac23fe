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
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from benchmarks.levers.data import Data, ndcg
from benchmarks.levers.lever import Lever
from benchmarks.levers.model import embed
from benchmarks.levers.train import train


@dataclass
class Shop:
    """What a worker keeps at hand: the base, and the sets that it has seen."""

    base: Path
    folders: list[Path]
    device: str
    bare: Any = None
    sets: dict[str, tuple[Data, dict[str, torch.Tensor]]] = field(default_factory=dict)

    def get(self, name: str) -> tuple[Data, dict[str, torch.Tensor]]:
        """Return a set and the base's vectors of it."""
        if name not in self.sets:
            data = Data(next(f for f in self.folders if f.name == name), self.base, self.device)
            vectors = {
                "queries": embed(self.bare, data, data.query_ids, 256),
                "documents": embed(self.bare, data, data.document_ids, 256),
                "short": embed(self.bare, data, data.document_ids, 128),
            }
            self.sets[name] = data, vectors
        return self.sets[name]

    def run(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Do one run: the base as it is, or a training."""
        bare = raw.pop("base_only", False)
        lever = Lever(**{**raw, "wise": tuple(raw.get("wise", Lever.wise))})
        data, vectors = self.get(lever.set)
        if not bare:
            return {**raw, **train(lever, data, self.bare, vectors)}
        found = {
            s: ndcg(data, s, vectors["queries"], vectors["documents"]) for s in ("dev", "test")
        }
        return {**raw, **{split: {"0": value} for split, value in found.items()}}


def work(shop: Shop, todo: Any, done: Any, until: float) -> None:
    """Take runs from ``todo`` until there are none, or the time is up."""
    from transformers import BertModel

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    made: Any = BertModel.from_pretrained(
        shop.base, dtype=torch.float32, add_pooling_layer=False, attn_implementation="sdpa"
    )
    shop.bare = made.to(shop.device)
    while (raw := todo.get()) is not None and time.time() < until:
        try:
            done.put(shop.run(dict(raw)))
        except Exception as error:  # noqa: BLE001 - one bad run must not end the others
            done.put({**raw, "error": f"{type(error).__name__}: {error}"})


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
    with asked.out.open("w", encoding="utf-8") as file:
        while any(w.is_alive() for w in workers) or not done.empty():
            with contextlib.suppress(queue.Empty):
                file.write(json.dumps(done.get(timeout=1)) + "\n")
                file.flush()
            if time.time() > until + 15:
                break
    os._exit(0)


if __name__ == "__main__":
    main()
