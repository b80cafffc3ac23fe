"""What embedding passages costs, beside sentence-transformers' own ``encode`` in float32.

``python benchmarks/embedding_speed.py DATA [--passages 5000] [--base NAME] [--rounds 3]
[--no-onnx]``

DATA is a data set in BEIR's layout. In each round all sides embed the same passages in turn, every
other round backwards, so that what else the machine does meets them alike. Prints JSON: of each
side's seconds and CPU seconds the median, the least and the most; how many times faster than the
first it was (the median over rounds, by CPU seconds); cosines with the first one's vectors; and
nDCG@10 of the judged queries among the passages. Needs ``ragd-tune[cpu]``, and for the two sides of
onnxruntime ``ragd-tune[onnx]``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

from ragd_tune.data import DataSet, read
from ragd_tune.evaluate import evaluate_retrieval
from ragd_tune.export.onnx import quantise
from ragd_tune.models import resolve
from ragd_tune.serve import load_base
from ragd_tune.serve.onnx import OnnxModel

METRIC = "ndcg@10"
Embed = Callable[[list[str]], Any]
Side = tuple[Embed, Embed]
"""What embeds queries, and what embeds passages."""


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--passages", type=int, default=5000)
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-onnx", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        sides = frameworks(given.base)
        if not given.no_onnx:
            sides |= graphs(given.base, Path(work))
        told = measure(read(given.data), given.passages, sides, given.rounds)
    print(json.dumps(told, indent=2))


def frameworks(base: str) -> dict[str, Side]:
    """Return sentence-transformers itself, which comes first, and ours on PyTorch."""
    plain = SentenceTransformer(str(resolve(base).path), device="cpu")
    exact, quick = load_base(base, device="cpu"), load_base(base, device="cpu", precision="auto")

    def library(wanted: list[str]) -> Any:
        return plain.encode(wanted, normalize_embeddings=True, show_progress_bar=False)

    return {
        "sentence-transformers, fp32": (library, library),
        "ours, fp32": (exact.embed_queries, exact.embed_documents),
        "ours, auto": (quick.embed_queries, quick.embed_documents),
    }


def graphs(base: str, work: Path) -> dict[str, Side]:
    """Return the base as a graph on onnxruntime, in float32 and with int8 weights."""
    with load_base(base, device="cpu") as embedder:
        embedder.load().export("onnx", work / "fp32")
        facts = embedder.facts
    shutil.copytree(work / "fp32", work / "int8")
    quantise(work / "int8" / "model.onnx")

    def side(name: str) -> Side:
        folder = work / name
        model = OnnxModel(folder / "model.onnx", folder / "tokenizer.json", facts)
        return (lambda texts: model.embed(texts, "query")), (
            lambda texts: model.embed(texts, "document")
        )

    return {f"onnxruntime, {name}": side(name) for name in ("fp32", "int8")}


def measure(data: DataSet, passages: int, sides: Mapping[str, Side], rounds: int) -> dict[str, Any]:
    """Return times, cosines and nDCG@10 by side."""
    asked, kept = judged(data, passages)
    texts = [data.corpus[did].passage for did in kept]
    queries = [data.queries[qid].text for qid in asked]
    for _, documents in sides.values():
        documents(texts[:2])  # whatever is made at the first call
    times, vectors = interleaved(sides, texts, rounds)
    first = next(iter(sides))
    qrels = {qid: data.qrels["test"][qid] for qid in asked}
    told: dict[str, Any] = {"passages": len(texts), "queries": len(asked), "rounds": rounds}
    for name, (ask, _) in sides.items():
        scores = evaluate_retrieval(
            ask(queries), vectors[name], query_ids=asked, document_ids=kept, qrels=qrels
        )
        (found,) = scores.values()
        cosines = (vectors[name] * vectors[first]).sum(1)
        ratios = [one[1] / two[1] for one, two in zip(times[first], times[name], strict=True)]
        told[name] = {
            "seconds": spread([wall for wall, _ in times[name]]),
            "cpu_seconds": spread([cpu for _, cpu in times[name]]),
            "times_faster": spread(ratios),
            "cosine": float(np.mean(cosines)),
            "least_cosine": float(np.min(cosines)),
            METRIC: float(np.mean(found.values[METRIC])),
        }
    return told


def interleaved(
    sides: Mapping[str, Side], texts: list[str], rounds: int
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, Any]]:
    """Embed ``texts`` by every side in every round; return (seconds, CPU seconds), and vectors."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    vectors: dict[str, Any] = {}
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            wall, cpu = time.perf_counter(), time.process_time()
            vectors[name] = sides[name][1](texts)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return times, vectors


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and most."""
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


def judged(data: DataSet, passages: int) -> tuple[list[str], list[str]]:
    """Return the test queries whose answers are among the first ``passages``, and these."""
    kept = list(data.corpus)[:passages]
    there = set(kept)
    found = data.qrels["test"]
    return [qid for qid, answers in found.items() if set(answers) <= there], kept


if __name__ == "__main__":
    main()
