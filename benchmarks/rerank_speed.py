"""What scoring pairs costs, beside sentence-transformers' own ``predict`` on the same model.

``python benchmarks/rerank_speed.py [--pairs 10000] [--device cpu] [--base all-MiniLM-L6-v2]``

Both sides score the same pairs with the same weights, in turn, 2,000 pairs at a time; who begins
changes. CPU seconds are compared, which other work on the machine does not change much; on a GPU
it is the wall clock. Needs ``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ragd_tune.backends import LoadRequest, RerankRequest
from ragd_tune.models import resolve
from ragd_tune.plan import Device
from ragd_tune.registry import discover
from ragd_tune.testing.samples import WORDS

CANDIDATES = 50
AT_ONCE = 40
"""Queries of one call: 2,000 pairs. Both sides sort what they are given by length."""

Clock = tuple[float, float]
"""Seconds by the wall clock, and of the processor."""


def requests(pairs: int) -> list[RerankRequest]:
    """Return queries of 8 words with 50 passages of 10 to 150 words each."""
    draw = random.Random(0)

    def text(words: int) -> str:
        return " ".join(draw.choices(WORDS, k=words))

    return [
        RerankRequest(
            query=text(8), passages=tuple(text(draw.randint(10, 150)) for _ in range(CANDIDATES))
        )
        for _ in range(max(1, pairs // CANDIDATES))
    ]


class Side:
    """One way to score, with its time so far and its scores."""

    def __init__(self, score: Callable[[list[RerankRequest]], Any]) -> None:
        self._score = score
        self.clock: Clock = (0.0, 0.0)
        self.scores: list[float] = []

    def work(self, asked: list[RerankRequest]) -> None:
        """Score some requests and note how long it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        found = self._score(asked)
        took = time.perf_counter() - wall, time.process_time() - cpu
        self.clock = self.clock[0] + took[0], self.clock[1] + took[1]
        self.scores += np.concatenate([np.atleast_1d(one) for one in found]).tolist()


def sides(base: str, device: Device) -> dict[str, Side]:
    """Return both, on one model."""
    registry = discover()
    request = LoadRequest(
        objective="relevance", format="base", base=resolve(base), device=device, precision="fp32"
    )
    model: Any = registry.call("cpu", "ragd_tune_load_adapter", request=request)

    def ours(asked: list[RerankRequest]) -> Any:
        return registry.call("cpu", "ragd_tune_rerank", model=model, requests=asked)

    def theirs(asked: list[RerankRequest]) -> Any:
        return model.model.predict([(one.query, text) for one in asked for text in one.passages])

    for way in (ours, theirs):
        way(requests(CANDIDATES))  # kernels are compiled at the first call
    return {"ours": Side(ours), "theirs": Side(theirs)}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    given = parser.parse_args()
    asked = requests(given.pairs)
    both = sides(given.base, given.device)
    for number, start in enumerate(range(0, len(asked), AT_ONCE)):
        for name in sorted(both, reverse=bool(number % 2)):
            both[name].work(asked[start : start + AT_ONCE])
    one, two = both["ours"], both["theirs"]
    clock = int(given.device == "cpu")
    told = {
        "pairs": len(one.scores),
        **{
            name: dict(zip(("seconds", "cpu"), side.clock, strict=True))
            for name, side in both.items()
        },
        "ratio": one.clock[clock] / two.clock[clock],
        "compared": ("seconds", "cpu")[clock],
        "largest_difference": float(np.abs(np.subtract(one.scores, two.scores)).max()),
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
