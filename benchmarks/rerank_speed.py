"""What scoring pairs costs, beside sentence-transformers' own ``predict`` on the same model.

``python benchmarks/rerank_speed.py [--pairs 10000] [--device cpu] [--base all-MiniLM-L6-v2]``

Both sides score the same pairs with the same weights, in turn, three times; the best time of each
counts. Needs ``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

from ragd_tune.backends import LoadRequest, RerankRequest
from ragd_tune.models import resolve
from ragd_tune.registry import discover
from ragd_tune.testing.samples import WORDS

CANDIDATES = 50
ROUNDS = 3


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


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall-clock and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    given = parser.parse_args()
    registry = discover()
    request = LoadRequest(
        objective="relevance", format="base", base=resolve(given.base), device=given.device
    )
    model: Any = registry.call("cpu", "ragd_tune_load_adapter", request=request)
    asked = requests(given.pairs)
    pairs = [(one.query, passage) for one in asked for passage in one.passages]
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: registry.call("cpu", "ragd_tune_rerank", model=model, requests=asked),
        "theirs": lambda: model.model.predict(pairs),
    }
    best: dict[str, tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for name, work in sides.items():
            best[name] = min(best.get(name, (1e9, 1e9)), seconds(work))
    told = {name: {"seconds": wall, "cpu": cpu} for name, (wall, cpu) in best.items()}
    ratio = best["ours"][0] / best["theirs"][0]
    print(json.dumps({"pairs": len(pairs), **told, "ratio": ratio}, indent=2))


if __name__ == "__main__":
    main()
