"""Rows of numbers: queries, positives, and negatives that the base itself ranks high."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import torch
from benchmarks.levers.data import Data, same
from benchmarks.levers.lever import Lever

from ragd_tune.data.mine.lexical import Lexical
from ragd_tune.data.mine.select import rank_fusion


def mined(
    data: Data, lever: Lever, base: dict[str, torch.Tensor]
) -> dict[tuple[int, int], list[int]]:
    """Return negatives for each (query, positive) of train, by the base's own ranking."""
    train = data.qrels["train"]
    rows = sorted(train)
    scores = base["queries"][rows] @ base["short" if lever.mine_short else "documents"].T
    best = _ranked(data, lever, rows, scores)
    draw = random.Random(lever.seed)
    made = {}
    for at, qid in enumerate(rows):
        relevant = {data.first[d] for d in train[qid]}
        for did in train[qid]:
            top = float(scores[at, did])
            values = scores[at, torch.as_tensor(best[at], device=scores.device)].tolist()
            found: list[int] = []
            for other, value in zip(best[at], values, strict=True):
                if data.first[other] not in relevant and value < lever.margin * top:
                    found.append(other)
            found = found[: lever.depth]
            if lever.sample and len(found) > lever.negatives:
                found = draw.sample(found, lever.negatives)
            made[qid, did] = found[: lever.negatives]
    return made


def _ranked(data: Data, lever: Lever, rows: list[int], scores: torch.Tensor) -> list[list[int]]:
    """Return the candidates of each query, the best first."""
    best = scores.topk(min(lever.depth + 20, scores.shape[1])).indices.tolist()
    if not lever.fused:
        return best
    found = Lexical(data.documents).search([data.queries[i] for i in rows], lever.depth)
    return [rank_fusion(own, more.tolist()) for own, (_, more) in zip(best, found, strict=True)]


def rows_of(data: Data, lever: Lever, base: dict[str, torch.Tensor]) -> list[dict[str, Any]]:
    """Return contrastive rows of numbers, with the keys that the core's batches read."""
    train = data.qrels["train"]
    wanted = lever.negatives + lever.bank
    hard = mined(data, replace(lever, negatives=wanted), base) if wanted else {}
    by_text: dict[str, set[int]] = {}
    for qid, judged in train.items():
        by_text.setdefault(same(data.queries[qid]), set()).update(data.first[d] for d in judged)
    made = []
    for qid, judged in train.items():
        relevant = by_text[same(data.queries[qid])]
        for did in judged:
            found = [d for d in hard.get((qid, did), ()) if data.first[d] not in relevant]
            own, bank = found[: lever.negatives], found[lever.negatives :]
            made.append(
                {
                    "query": qid,
                    "positive": did,
                    "negatives": own,
                    "bank": bank,
                    "positive_key": str(data.first[did]),
                    "negative_keys": [str(data.first[d]) for d in own],
                    "relevant_keys": [str(d) for d in relevant],
                }
            )
    return made
