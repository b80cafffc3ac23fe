"""Batches whose rows are hard for each other: hard negatives that cost no encoding.

After topic-aware sampling (Hofstätter et al. 2021, arXiv 2104.06967), with nearest neighbours of a
drawn row in place of fixed clusters.
"""

from __future__ import annotations

import random
from typing import Any

import torch


def grouped(
    rows: list[dict[str, Any]],
    base: dict[str, torch.Tensor],
    *,
    size: int,
    batch: int,
    share: float,
    seed: int,
) -> list[list[int]]:
    """Return batches of row numbers, made of groups of ``size``; what is left over is dropped.

    A group is a drawn row and those whose passages the base scores highest for its query, but not
    above ``share`` of its own passage (0: however high), and never one that answers it.
    """
    draw = random.Random(seed)
    asked = torch.tensor([row["query"] for row in rows])
    answers = torch.tensor([row["positive"] for row in rows])
    q, d = base["queries"][asked], base["documents"][answers]
    key = {name: at for at, name in enumerate(sorted({row["positive_key"] for row in rows}))}
    keys = torch.tensor([key[row["positive_key"]] for row in rows], device=q.device)
    left = torch.ones(len(rows), dtype=torch.bool, device=q.device)
    order = draw.sample(range(len(rows)), len(rows))
    groups = []
    for at in order:
        if not left[at]:
            continue
        left[at] = False
        scores = d @ q[at]
        scores = scores.masked_fill(~left, -2.0)
        known = [key[name] for name in rows[at]["relevant_keys"] if name in key]
        scores = scores.masked_fill(torch.isin(keys, torch.tensor(known, device=q.device)), -2.0)
        if share:
            scores = scores.masked_fill(scores > share * (d[at] @ q[at]), -2.0)
        best = scores.topk(min(4 * size, len(rows)))
        group, seen = [at], {rows[at]["positive_key"]}
        for value, other in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if len(group) == size or value <= -2.0:
                break
            if rows[other]["positive_key"] not in seen:
                group.append(other)
                seen.add(rows[other]["positive_key"])
        left[torch.tensor(group, device=q.device)] = False
        groups.append(group)
    draw.shuffle(groups)
    flat = [row for group in groups for row in group]
    return [flat[at : at + batch] for at in range(0, len(flat) - batch + 1, batch)]
