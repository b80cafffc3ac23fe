"""What a worker does: it keeps the base and the sets at hand, and takes runs until there are none.

A module of its own, because a process that is spawned does not import a package's ``__main__``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from benchmarks.levers.data import Data, ndcg
from benchmarks.levers.lever import Lever
from benchmarks.levers.model import embed
from benchmarks.levers.teacher import news
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
        for line in news():
            done.put(line)
