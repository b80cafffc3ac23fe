"""Mine negatives for 10,000 queries among 100,000 passages: time, peak memory, recall.

The vectors are synthetic: passages lie around topics, and a query lies near its passage, so that
searching is neither trivial nor pure chance. Nothing is embedded: what is measured is search,
selection and writing. Run it on a quiet machine::

    python benchmarks/mining_scale.py [--passages 100000] [--queries 10000] [--index exact]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragd_tune.data import DataSet, Document, Query
from ragd_tune.data.mine import Mining, mine
from ragd_tune.data.mine.dense import Dense, Index
from ragd_tune.training.memory import peak_bytes

DIMENSION = 384
TOPICS = 2000
INDEXES: tuple[Index, ...] = ("exact", "approximate")


class Vectors:
    """Unit vectors by number: made anew from the number, so that none has to be kept."""

    def __init__(self, seed: int = 0) -> None:
        self.centres = np.random.default_rng(seed).standard_normal((TOPICS, DIMENSION), np.float32)

    def passage(self, number: int) -> NDArray[np.float32]:
        """Return a passage's vector: its topic's centre, and noise."""
        rng = np.random.default_rng((1, number))
        noise = rng.standard_normal(DIMENSION, np.float32)
        return np.asarray(self.centres[number % TOPICS] + 0.8 * noise, np.float32)

    def query(self, number: int) -> NDArray[np.float32]:
        """Return a query's vector: its passage's, and noise."""
        rng = np.random.default_rng((2, number))
        return self.passage(number) + 0.6 * rng.standard_normal(DIMENSION, np.float32)

    def embed(self, texts: Sequence[str], role: str) -> NDArray[np.float32]:
        """Return the vectors of texts that end in their number: float32 (n, 384)."""
        made = self.query if role == "query" else self.passage
        rows = np.stack([made(int(text.rpartition(" ")[2])) for text in texts])
        lengths: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / lengths, np.float32)


def data_set(passages: int, queries: int) -> DataSet:
    """Return texts of some words each; query ``n`` is answered by passage ``n``."""
    words = [f"word{number}" for number in range(5000)]
    rng = np.random.default_rng(3)
    picked = rng.integers(0, len(words), (passages, 40))
    corpus = {
        f"d{n}": Document(id=f"d{n}", text=" ".join(words[w] for w in picked[n]) + f" {n}")
        for n in range(passages)
    }
    asked = {
        f"q{n}": Query(id=f"q{n}", text=" ".join(words[w] for w in picked[n][:6]) + f" {n}")
        for n in range(queries)
    }
    qrels = {"train": {f"q{n}": {f"d{n}": 1.0} for n in range(queries)}}
    return DataSet.of(corpus=corpus, queries=asked, qrels=qrels, source="synthetic")


def recall(vectors: Vectors, passages: int, queries: int) -> dict[str, float]:
    """Return how much of the exact first 10 and 100 the approximate index finds."""
    every = np.concatenate(
        [
            vectors.embed([f"x {n}" for n in range(s, min(passages, s + 5000))], "document")
            for s in range(0, passages, 5000)
        ]
    )
    asked = vectors.embed([f"x {n}" for n in range(queries)], "query")
    told: dict[str, float] = {}
    found = {}
    for name in INDEXES:
        start = time.process_time()
        index = Dense(every, index=name)
        built = time.process_time()
        found[name] = index.search(asked, 100)[1]
        told[f"{name}_build_cpu_s"] = round(built - start, 1)
        told[f"{name}_search_cpu_s"] = round(time.process_time() - built, 1)
    for depth in (10, 100):
        pairs = zip(found["exact"][:, :depth], found["approximate"][:, :depth], strict=True)
        told[f"recall@{depth}"] = float(np.mean([len(set(a) & set(b)) / depth for a, b in pairs]))
    return told


def main() -> None:
    """Mine, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--index", default="exact", choices=["exact", "approximate"])
    given = parser.parse_args()
    data, vectors = data_set(given.passages, given.queries), Vectors()
    with tempfile.TemporaryDirectory() as folder:
        start, before = time.perf_counter(), time.process_time()
        asked = Mining(per_query=4, depth=100, index=given.index)
        made = mine(data, asked, Path(folder), embed=vectors.embed)
        seconds, cpu = time.perf_counter() - start, time.process_time() - before
    told: dict[str, object] = {
        "passages": given.passages,
        "queries": given.queries,
        "index": given.index,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_gb": round(peak_bytes() / 1e9, 2),
        **made.to_json(),
        "search": recall(vectors, given.passages, given.queries),
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
