"""What embedding passages costs, beside sentence-transformers' own ``encode`` in float32.

``python benchmarks/embedding_speed.py DATA [--passages 5000] [--base NAME] [--rounds 3]``

DATA is a data set in BEIR's layout. All sides embed the same passages, in turn, and the medians
count; then each side's vectors are ranked by the judged queries among them. Prints JSON. Needs
``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

from ragd_tune.data import DataSet, read
from ragd_tune.evaluate import evaluate_retrieval
from ragd_tune.models import resolve
from ragd_tune.serve import load_base

METRIC = "ndcg@10"


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--passages", type=int, default=5000)
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(json.dumps(measure(given.data, given.passages, given.base, given.rounds), indent=2))


def measure(folder: Path, passages: int, base: str, rounds: int) -> dict[str, Any]:
    """Return seconds, cosines and nDCG@10 by side."""
    data = read(folder)
    asked, kept = judged(data, passages)
    texts = [data.corpus[did].passage for did in kept]
    queries = [data.queries[qid].text for qid in asked]
    plain = SentenceTransformer(str(resolve(base).path), device="cpu")
    exact, quick = load_base(base, device="cpu"), load_base(base, device="cpu", precision="auto")

    def library(wanted: list[str]) -> Any:
        return plain.encode(wanted, normalize_embeddings=True, show_progress_bar=False)

    sides: dict[str, tuple[Callable[[list[str]], Any], Callable[[list[str]], Any]]] = {
        "sentence-transformers, fp32": (library, library),
        "ours, fp32": (exact.embed_queries, exact.embed_documents),
        "ours, auto": (quick.embed_queries, quick.embed_documents),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    vectors: dict[str, Any] = {}
    for _ in range(rounds):
        for name, (_, documents) in sides.items():
            wall, cpu = time.perf_counter(), time.process_time()
            vectors[name] = documents(texts)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    reference = next(iter(vectors.values()))
    qrels = {qid: data.qrels["test"][qid] for qid in asked}
    told: dict[str, Any] = {"passages": len(texts), "queries": len(asked), "rounds": rounds}
    for name, (ask, _) in sides.items():
        wall, cpu = (statistics.median(one) for one in zip(*times[name], strict=True))
        scores = evaluate_retrieval(
            ask(queries), vectors[name], query_ids=asked, document_ids=kept, qrels=qrels
        )
        (found,) = scores.values()
        told[name] = {
            "seconds": round(wall, 2),
            "cpu_seconds": round(cpu, 2),
            "cosine": float(np.mean((vectors[name] * reference).sum(1))),
            METRIC: float(np.mean(found.values[METRIC])),
        }
    return told


def judged(data: DataSet, passages: int) -> tuple[list[str], list[str]]:
    """Return the test queries whose answers are among the first ``passages``, and these."""
    kept = list(data.corpus)[:passages]
    there = set(kept)
    found = data.qrels["test"]
    return [qid for qid, answers in found.items() if set(answers) <= there], kept


if __name__ == "__main__":
    main()
