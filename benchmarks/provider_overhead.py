"""What the provider costs against calling the model directly: 64 texts at once, and one query.

``python benchmarks/provider_overhead.py``: three minutes of CPU time, on one thread. The promise is
at most 1% on 64 texts and 100 µs on one query. "Directly" is sentence-transformers' ``encode`` of
the very same loaded model, and lists of floats from it, as ragd makes them by itself.

CPU time of the process is taken, not the clock's. The two ways take turns in the order a, b, b, a
or b, a, a, b, by a coin, so that what else the machine does meets both alike. Told is the median of
the rounds' differences, with the interval in which the median lies at 95% (the ranks of a binomial
distribution: nothing is taken for granted of how noise is spread). The promise is kept where even
the interval's upper end is below the limit.

``own part`` is what the provider does around the model, measured with a model that answers at once.
A whole call may come out *below* a direct one: of a single text the provider asks the model's two
steps themselves, and ``encode`` goes through all modules first to set their mode.
"""

from __future__ import annotations

import gc
import json
import os
import random
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
LIMITS = {"64 texts": ("share", 0.01), "one query": ("seconds", 100e-6)}
ROUNDS = {"64 texts": 40, "one query": 1000}
Call = Callable[[], object]


def seconds(call: Call) -> float:
    """Return the CPU time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def compare(ours: Call, theirs: Call, rounds: int) -> dict[str, float]:
    """Return medians over ``rounds``: the direct call, the difference, and its 95% interval.

    Seconds.
    """
    coin = random.Random(0)
    for call in (ours, theirs) * 3:
        call()
    direct, more = [], []
    for _ in range(rounds):
        first, other = (ours, theirs) if coin.random() < 0.5 else (theirs, ours)
        told = {ours: 0.0, theirs: 0.0}
        for call in (first, other, other, first):
            told[call] += seconds(call) / 2
        direct.append(told[theirs])
        more.append(told[ours] - told[theirs])
    more.sort()
    off = round(0.98 * rounds**0.5)  # 1.96 standard deviations of a median's rank
    return {
        "direct": statistics.median(direct),
        "more": statistics.median(more),
        "low": more[max(0, rounds // 2 - off)],
        "high": more[min(rounds - 1, rounds // 2 + off)],
    }


def main() -> None:
    """Print the figures as JSON: seconds of CPU time."""
    host = get_embedder({"embedding": {"model": MODEL}, "storage": {"data_dir": Path("absent")}})
    host.embed(TEXTS[:1])
    model = loaded(host)
    pairs: dict[str, tuple[Call, Call]] = {
        "64 texts": (lambda: host.embed(TEXTS), lambda: directly(model, TEXTS)),
        "one query": (lambda: host.embed_single(TEXTS[0]), lambda: directly(model, TEXTS[:1])),
    }
    gc.freeze()  # what is loaded is not searched for garbage in the middle of a call
    told: dict[str, dict[str, object]] = {}
    for name, (ours, theirs) in pairs.items():
        found = compare(ours, theirs, ROUNDS[name])
        by, limit = LIMITS[name]
        worst = found["high"] / (found["direct"] if by == "share" else 1)
        share = found["more"] / found["direct"]
        told[name] = {**found, "share": share, "kept": worst <= limit}
    answer_at_once(model)
    for name, (ours, theirs) in pairs.items():
        told[name]["own part"] = compare(ours, theirs, 1000)["more"]
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


def answer_at_once(model: Any) -> None:
    """Put answers in the place of the model's entries, so that only what is around is left."""
    import torch

    dimension = model.get_embedding_dimension()
    answers = {n: np.full((n, dimension), dimension**-0.5, np.float32) for n in (1, len(TEXTS))}
    features = {"sentence_embedding": torch.from_numpy(answers[1])}
    model.encode = lambda texts, **_: answers[len(texts)]
    model.preprocess = lambda *_, **__: features
    model.forward = lambda *_, **__: features


if __name__ == "__main__":
    main()
