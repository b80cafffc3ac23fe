"""The recipe that is copied most, by sentence-transformers itself, and what ours gains over it.

MultipleNegativesRankingLoss over (query, answer), batches of 32 without duplicates, 3 epochs, 2e-5,
warm-up 0.1, all weights:

    python benchmarks/copied_recipe.py run DATA --seed 0 --out copied-0.json
    ragd-tune train bi-encoder --data DATA --seed 0 --json > ours-0.json
    python benchmarks/copied_recipe.py against --ours ours-*.json --copied copied-*.json

``--max-steps 10`` trains only so long, which is enough to time a step: ``whole_seconds`` is what
three epochs take at that pace. Needs ``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import benchmarks.tables  # noqa: F401 - puts the sources on the path, where nothing is installed

from ragd_tune.data import DataSet, read
from ragd_tune.evaluate import evaluate_retrieval, paired
from ragd_tune.models import resolve
from ragd_tune.training.memory import peak_bytes

METRIC = "ndcg@10"
BATCH, EPOCHS, RATE, WARMUP = 32, 3, 2e-5, 0.1


def pairs(data: DataSet) -> list[tuple[str, str]]:
    """Return the (query, answer) texts of the training split."""
    return [
        (data.queries[qid].text, data.corpus[did].passage)
        for qid, answers in data.qrels["train"].items()
        for did, score in answers.items()
        if score > 0
    ]


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Train, and score each query of the split."""
    from sentence_transformers import SentenceTransformer

    data = read(asked.data)
    model = SentenceTransformer(str(resolve(asked.base, offline=True).path), device=asked.device)
    told = train(model, pairs(data), asked)
    if asked.max_steps:
        return told
    scores = scored(model, data, asked.split)
    return {
        **told,
        "split": asked.split,
        METRIC: float(np.mean(list(scores.values()))),
        "queries": scores,
    }


def scored(model: Any, data: DataSet, split: str) -> dict[str, float]:
    """Return nDCG@10 of each query of ``split``, by an exact search of the whole corpus."""
    qrels, kept = data.qrels[split], list(data.corpus)
    texts = [data.corpus[did].passage for did in kept]
    queries = [data.queries[qid].text for qid in qrels]
    (found,) = evaluate_retrieval(
        _vectors(model, queries),
        _vectors(model, texts),
        query_ids=list(qrels),
        document_ids=kept,
        qrels=qrels,
        texts=texts,
    ).values()
    return dict(zip(found.query_ids, map(float, found.values[METRIC]), strict=True))


def _vectors(model: Any, texts: list[str]) -> Any:
    return model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)


def train(
    model: Any,
    rows: Sequence[tuple[str, str]],
    asked: argparse.Namespace,
    callbacks: Sequence[Any] = (),
) -> dict[str, Any]:
    """Train, hearing ``callbacks`` of transformers' trainer, and return what it took."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    columns = {"anchor": [query for query, _ in rows], "positive": [text for _, text in rows]}
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            max_steps=asked.max_steps or -1,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            warmup_steps=WARMUP,  # a share of all steps, since it is below 1
            batch_sampler="no_duplicates",
            bf16=asked.bf16,
            seed=asked.seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=asked.device == "cpu",
        )
        trainer = SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict(columns),
            loss=MultipleNegativesRankingLoss(model),
            callbacks=[*callbacks],
        )
        wall, cpu = time.perf_counter(), sum(os.times()[:2])
        trainer.train()
        wall, cpu = time.perf_counter() - wall, sum(os.times()[:2]) - cpu
    steps, whole = trainer.state.global_step, EPOCHS * -(-len(rows) // BATCH)
    return {
        "data": asked.data.name,
        "seed": asked.seed,
        "rows": len(rows),
        "precision": "bf16" if asked.bf16 else "fp32",
        "steps": steps,
        "seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "whole_seconds": round(wall / steps * whole, 1),
        "peak_rss": peak_bytes(),
    }


def against(ours: Sequence[Path], copied: Sequence[Path]) -> dict[str, Any]:
    """Return the mean gain of ours over the copied recipe, seeds averaged for each query.

    The interval is over queries, by the clusters of the proof; the spread over seeds is told beside
    it. Queries that the proof left out as leaks are left out of both.
    """
    first = [json.loads(path.read_text(encoding="utf-8")) for path in ours]
    second = [json.loads(path.read_text(encoding="utf-8")) for path in copied]
    judged = [{row["id"]: row for row in one["proof"]["queries"]} for one in first]
    ids = list(judged[0])
    mine = np.mean([[one[qid]["after"] for qid in ids] for one in judged], axis=0)
    theirs = np.mean([[one["queries"][qid] for qid in ids] for one in second], axis=0)
    clusters = [judged[0][qid]["cluster"] for qid in ids]
    found = paired(mine - theirs, np.unique(clusters, return_inverse=True)[1], seed=0)
    return {
        "base": float(np.mean([judged[0][qid]["before"] for qid in ids])),
        "ours": float(mine.mean()),
        "copied": float(theirs.mean()),
        "difference": found.mean,
        "interval": [found.low, found.high],
        "p": found.p,
        "queries": len(ids),
        "ours_by_seed": [float(np.mean([one[qid]["after"] for qid in ids])) for one in judged],
        "copied_by_seed": [float(np.mean([one["queries"][q] for q in ids])) for one in second],
    }


def main() -> None:
    """Run, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    trains = verbs.add_parser("run")
    trains.add_argument("data", type=Path)
    trains.add_argument("--split", default="test", choices=["dev", "test"])
    trains.add_argument("--seed", type=int, default=0)
    trains.add_argument("--base", default="all-MiniLM-L6-v2")
    trains.add_argument("--device", default="cpu")
    trains.add_argument("--bf16", action="store_true")
    trains.add_argument("--max-steps", type=int)
    trains.add_argument("--out", type=Path)
    compares = verbs.add_parser("against")
    compares.add_argument("--ours", type=Path, nargs="+", required=True)
    compares.add_argument("--copied", type=Path, nargs="+", required=True)
    asked = parser.parse_args()
    told = run(asked) if asked.verb == "run" else against(asked.ours, asked.copied)
    text = json.dumps(told, indent=1)
    if getattr(asked, "out", None):
        asked.out.write_text(text, encoding="utf-8")
    short = {
        name: value for name, value in told.items() if name != "queries" or asked.verb != "run"
    }
    print(json.dumps(short))


if __name__ == "__main__":
    main()
