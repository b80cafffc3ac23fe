"""What the provider costs against calling the model directly: 64 texts at once, and one query.

``python benchmarks/provider_overhead.py``. The promise is at most 1% on 64 texts and 100 µs on one
query. "Directly" is sentence-transformers' ``encode`` of the very same loaded model, and lists of
floats from it, as ragd makes them by itself.

CPU time of the process is taken, not the clock's, and the two ways take turns in the order a, b, b,
a, so that what else the machine does meets both alike. The difference of two long calls is noisy
even so; therefore the provider's own part is measured once more with a model that answers at once.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from ragd_tune.ragd.protocols import HostEmbedder
from ragd_tune.ragd.provider import get_embedder

MODEL = "all-MiniLM-L6-v2"
TEXTS = [f"passage {number} about a harbour at night, and what is told" for number in range(64)]
Call = Callable[[], object]


def seconds(call: Call) -> float:
    """Return the CPU time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def compare(ours: Call, theirs: Call, rounds: int) -> dict[str, float]:
    """Return medians over ``rounds``: the direct call, the difference, and half of its spread.

    Seconds. The spread is that of the middle half of the rounds' differences, over the root of
    their number.
    """
    ours()
    theirs()
    told = []
    for _ in range(rounds):
        first, direct, again, last = map(seconds, (ours, theirs, theirs, ours))
        told.append(((direct + again) / 2, (first + last - direct - again) / 2))
    more = [difference for _, difference in told]
    low, _, high = statistics.quantiles(more, n=4)
    return {
        "direct": statistics.median(direct for direct, _ in told),
        "more": statistics.median(more),
        "uncertain": (high - low) / rounds**0.5,
    }


def main() -> None:
    """Print the figures as JSON: seconds of CPU time."""
    host = get_embedder({"embedding": {"model": MODEL}, "storage": {"data_dir": Path("absent")}})
    host.embed(TEXTS[:1])
    model = loaded(host)
    pairs: dict[str, tuple[Call, Call, int]] = {
        "64 texts": (lambda: host.embed(TEXTS), lambda: directly(model, TEXTS), 12),
        "one query": (lambda: host.embed_single(TEXTS[0]), lambda: directly(model, TEXTS[:1]), 300),
    }
    told: dict[str, dict[str, float]] = {}
    for name, (ours, theirs, rounds) in pairs.items():
        told[name] = compare(ours, theirs, rounds)
        told[name]["share"] = told[name]["more"] / told[name]["direct"]
    model.encode = at_once
    for name, (ours, theirs, _) in pairs.items():
        own = compare(ours, theirs, 1000)
        told[name] |= {"own part": own["more"], "own share": own["more"] / told[name]["direct"]}
    print(json.dumps(told, indent=1))


def loaded(host: HostEmbedder) -> Any:
    """Return the model of sentence-transformers behind a provider's embedder."""
    inner: Any = host
    return inner._documents.load()._model.model


def directly(model: Any, texts: list[str]) -> list[list[float]]:
    """Embed as ragd does by itself."""
    vectors: list[list[float]] = model.encode(
        texts, batch_size=32, show_progress_bar=False, convert_to_numpy=True
    ).tolist()
    return vectors


def at_once(texts: list[str], **_: object) -> Any:
    """Answer without a model."""
    return _ANSWERS[len(texts)]


_ANSWERS = {n: np.full((n, 384), 384**-0.5, np.float32) for n in (1, len(TEXTS))}

if __name__ == "__main__":
    main()
