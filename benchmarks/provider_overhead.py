"""What the provider costs against calling the model directly: 64 texts at once, and one query.

Run on a quiet machine: ``python benchmarks/provider_overhead.py``. The promise is at most 1% on 64
texts and 100 µs on one query. Pairs are timed in turn, so that noise meets both alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from ragd_tune.ragd.provider import get_embedder
from ragd_tune.serve import load_base

MODEL = "all-MiniLM-L6-v2"
TEXTS = [f"passage {number} about a harbour at night, and what is told" for number in range(64)]


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(rounds: int = 30) -> None:
    """Print the medians, and the median of the differences of pairs."""
    host = get_embedder({"embedding": {"model": MODEL}, "storage": {"data_dir": Path("absent")}})
    direct = load_base(MODEL).load()
    one = TEXTS[:1]
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "64 texts": (lambda: host.embed(TEXTS), lambda: direct.embed(TEXTS, "document")),
        "one query": (lambda: host.embed_single(one[0]), lambda: direct.embed(one, "query")),
    }
    for name, (ours, theirs) in pairs.items():
        ours()
        theirs()
        told = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
        base = statistics.median(pair[1] for pair in told)
        more = statistics.median(a - b for a, b in told)
        print(f"{name}: {base * 1e3:.2f} ms direct, {more * 1e6:+.0f} µs ({more / base:+.2%})")


if __name__ == "__main__":
    main()
