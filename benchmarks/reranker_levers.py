"""What a cross-encoder learns from: negatives and losses, compared after the same few steps.

``python benchmarks/reranker_levers.py nl2bash first-stage:listwise bm25:bce --steps 60``

A plain loop, apart from the product's, so that a lever can be tried before it is built: all weights
in bfloat16, the head over [CLS] and the base's own pooler, one answer and ``--negatives`` drawn
from 50 in each row. Proven on queries of the dev split by the order of the embedder's best
``--candidates``. Prints a line of JSON a run. Needs ``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.tables import shared
from transformers import AutoModel, AutoTokenizer

from ragd_tune.data import DataSet
from ragd_tune.evaluate.bm25 import Bm25
from ragd_tune.models import resolve
from ragd_tune.pipeline import workshop
from ragd_tune.pipeline.opening import Embedders

BASE = "all-MiniLM-L6-v2"
DEPTH = 50


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A query of ``train``, its answer, and what each source finds that is none."""

    query: str
    answer: str
    found: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A query of ``dev``: candidates in the embedder's order, which are answers, how many exist."""

    query: str
    passages: list[str]
    gains: np.ndarray
    answers: int


class Scorer(torch.nn.Module):
    """An encoder with a new head over its pooled [CLS]."""

    def __init__(self, folder: Path, length: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.encoder: Any = AutoModel.from_pretrained(folder)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, 1)
        self.dropout = torch.nn.Dropout(0.1)
        self.length = length

    def forward(self, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
        """Return the logit of each pair, float32 (pairs,)."""
        texts = [list(side) for side in zip(*pairs, strict=True)]
        made = self.tokenizer(
            *texts, truncation=True, max_length=self.length, padding=True, return_tensors="pt"
        )
        with torch.autocast("cpu", torch.bfloat16):
            pooled = self.encoder(**made).pooler_output
            logits: torch.Tensor = self.head(self.dropout(pooled)).squeeze(-1)
        return logits.float()


def same(text: str) -> str:
    """Return what equal texts have in common."""
    return " ".join(text.split()).casefold()


def material(data: DataSet, train: int, dev: int) -> tuple[list[Asked], list[Judged]]:
    """Return so many drawn pairs of ``train`` and queries of ``dev``, with what is found."""
    draw = random.Random(0)
    ids = list(data.corpus)
    texts = [document.passage for document in data.corpus.values()]
    place = {did: number for number, did in enumerate(ids)}
    pairs = [(pair.query.id, pair.document.id) for pair in data.pairs("train")]
    draw.shuffle(pairs)
    queries = list(data.qrels["dev"])
    draw.shuffle(queries)
    pairs, queries = pairs[:train], queries[:dev]
    asked = [data.queries[qid].text for qid in (*(qid for qid, _ in pairs), *queries)]
    with ExitStack() as stack:
        model = Embedders(shop=workshop(), stack=stack, offline=True).embedder(BASE)
        parts = [
            model.embed(texts[at : at + 1024], "document") for at in range(0, len(texts), 1024)
        ]
        scores = np.asarray(model.embed(asked, "query")) @ np.concatenate(parts).T  # type: ignore[arg-type]
    ranked = np.argsort(-scores, axis=1)[:, : DEPTH + 10].tolist()
    words, answers = Bm25(texts), _answers(data)
    rows = []
    for (qid, did), dense in zip(pairs, ranked, strict=False):
        text = data.queries[qid].text
        lists = {"first-stage": dense, "bm25": words.top(text, DEPTH + 10)[1].tolist()}
        found = {
            name: [texts[i] for i in one if same(texts[i]) not in answers[same(text)]][:DEPTH]
            for name, one in lists.items()
        }
        rows.append(Asked(query=text, answer=texts[place[did]], found=found))
    judged = []
    for qid, dense in zip(queries, ranked[len(pairs) :], strict=True):
        right = data.qrels["dev"][qid]
        gains = np.array([float(ids[i] in right) for i in dense])
        passages = [texts[i] for i in dense]
        text = data.queries[qid].text
        judged.append(Judged(query=text, passages=passages, gains=gains, answers=len(right)))
    return rows, judged


def _answers(data: DataSet) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pair in data.pairs("train"):
        found.setdefault(same(pair.query.text), set()).add(same(pair.document.passage))
    return found


def train(model: Scorer, rows: list[Asked], source: str, loss: str, asked: Any) -> list[float]:
    """Train in place; return the losses of the steps."""
    adamw = torch.optim.AdamW(model.parameters(), lr=asked.rate, weight_decay=0.01)
    warm, draw, order = 0.1 * asked.steps, random.Random(0), list[int]()
    losses = []
    for step in range(asked.steps):
        factor = min((step + 1) / warm, (asked.steps - step) / (asked.steps - warm))
        adamw.param_groups[0]["lr"] = asked.rate * factor
        pairs: list[tuple[str, str]] = []
        for _ in range(asked.rows):
            if not order:
                order = draw.sample(range(len(rows)), len(rows))
            row = rows[order.pop()]
            found_here = row.found[source]
            drawn = draw.sample(found_here, min(asked.negatives, len(found_here)))
            while len(drawn) < asked.negatives:  # few words in common with anything
                drawn.append(draw.choice(rows).answer)
            pairs += [(row.query, text) for text in (row.answer, *drawn)]
        logits = model(pairs).view(asked.rows, -1)
        if loss == "bce":
            labels = torch.zeros_like(logits)
            labels[:, 0] = 1.0
            found = F.binary_cross_entropy_with_logits(logits, labels)
        else:
            found = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
        adamw.zero_grad()
        found.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        losses.append(found.item())
    return losses


def ndcg(gains: np.ndarray, answers: int) -> float:
    """Return nDCG@10 of gains of 0 and 1 in some order."""
    discount = 1 / np.log2(np.arange(2, 12))
    top = gains[:10]
    return float((top * discount[: len(top)]).sum() / discount[: min(10, answers)].sum())


def judge(model: Scorer, queries: list[Judged], candidates: int) -> dict[str, float]:
    """Return nDCG@10 of the embedder's order and of the model's, and the difference's error."""
    model.eval()
    before, after = [], []
    with torch.inference_mode():
        for one in queries:
            pairs = [(one.query, text) for text in one.passages[:candidates]]
            gains = one.gains[:candidates]
            order = np.argsort(-model(pairs).numpy(), kind="stable")
            before.append(ndcg(gains, one.answers))
            after.append(ndcg(gains[order], one.answers))
    error = float(np.std(np.subtract(after, before)) / len(after) ** 0.5)
    told = {"embedder": float(np.mean(before)), "reranker": float(np.mean(after)), "error": error}
    return {name: round(value, 4) for name, value in told.items()}


def main() -> None:
    """Measure every run in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", help="one of the shared sets, as nl2bash")
    parser.add_argument("runs", nargs="+", help="first-stage or bm25, a colon, listwise or bce")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rows", type=int, default=12, help="of a step")
    parser.add_argument("--negatives", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--length", type=int, default=48, help="tokens of a pair")
    parser.add_argument("--queries", type=int, default=120)
    parser.add_argument("--candidates", type=int, default=20)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows, queries = material(shared(asked.set), 1000, asked.queries)
    folder = resolve(BASE, offline=True).path
    for run in asked.runs:
        source, _, loss = run.partition(":")
        start = time.process_time()
        model = Scorer(folder, asked.length).train()
        losses = train(model, rows, source, loss, asked)
        spent = round(time.process_time() - start)
        told = {"negatives": source, "loss": loss, **judge(model, queries, asked.candidates)}
        print(json.dumps({**told, "last_loss": round(losses[-1], 3), "cpu_seconds": spent}))


if __name__ == "__main__":
    main()
