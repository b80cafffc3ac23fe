"""A cross-encoder that scores a run's own rows, and what a bi-encoder learns from the scores.

It starts from the same base, with a new head over mean-pooled states, and learns on the training
split alone: a softmax over one answer and seven passages drawn from the base's best 50, for one
epoch. It is trained once a set, and scores the rows of equal negatives once: both are kept in
memory, and under the temporary folder for the other workers, who wait at a lock meanwhile.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.levers.data import Data, share_of_ideal
from benchmarks.levers.lever import Lever
from benchmarks.levers.rows import rows_of
from filelock import FileLock
from safetensors.torch import load_file, save_file

LENGTH = 128
"""Tokens of a pair."""
NEGATIVES, DEPTH = 7, 50
RATE, WARMUP, STEPS = 2e-4, 0.1, 400
"""Peak learning rate, its rise, and the steps of an epoch at most: a large set has larger ones."""

_models: dict[Path, Scorer] = {}
_scores: dict[Path, list[float]] = {}
_news: list[dict[str, Any]] = []


class Scorer(torch.nn.Module):
    """A BERT encoder with one new number over the mean of its states."""

    def __init__(self, bare: Any) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(bare).requires_grad_(True)
        for layer in self.encoder.encoder.layer:  # as in the student: no dropout in the attention
            layer.attention.self.dropout.p = 0.0
        self.head = torch.nn.Linear(bare.config.hidden_size, 1).to(bare.device)

    def forward(self, data: Data, pairs: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Return the logit of each (query, passage), float32 (pairs,)."""
        asked = [pair_of(data.query_ids[q], data.document_ids[d]) for q, d in pairs]
        ids, mask = data.batch([[*query, *passage] for query, passage in asked], LENGTH)
        begins = torch.tensor([len(query) for query, _ in asked], device=ids.device)
        second = torch.arange(ids.shape[1], device=ids.device) >= begins.unsqueeze(1)
        with torch.autocast(ids.device.type, dtype=torch.bfloat16):
            hidden = self.encoder(
                input_ids=ids, attention_mask=mask, token_type_ids=second.long() * mask
            ).last_hidden_state
        kept = hidden.float() * mask.unsqueeze(-1)
        made: torch.Tensor = self.head(kept.sum(1) / mask.sum(1, keepdim=True)).squeeze(-1)
        return made


def pair_of(query: list[int], passage: list[int]) -> tuple[list[int], list[int]]:
    """Return both sides, cut: the query takes half of the room, or what the passage leaves."""
    passage = passage[1:]  # the query begins the pair
    room = max(LENGTH // 2, LENGTH - len(passage))
    if len(query) > room:
        query = [*query[: room - 1], query[-1]]
    return query, passage


def teach(
    rows: list[dict[str, Any]], data: Data, lever: Lever, bare: Any, base: dict[str, torch.Tensor]
) -> None:
    """Put the teacher's logits of each row's positive and negatives into its ``teacher``."""
    if lever.teacher not in ("kl", "margin") or not lever.negatives:
        raise ValueError("teacher is kl or margin, and needs negatives")
    pairs = [(row["query"], did) for row in rows for did in (row["positive"], *row["negatives"])]
    home = _home(data, lever, bare)
    path = home / f"{hashlib.sha256(repr(pairs).encode()).hexdigest()[:16]}.npy"
    if path not in _scores:
        with _locked(path):
            if not path.exists():
                _save_scores(path, scored(_model(home, data, lever, bare, base), data, pairs))
        _scores[path] = np.load(path, allow_pickle=False).tolist()
    found = iter(_scores[path])
    for row in rows:
        row["teacher"] = [next(found) for _ in range(1 + len(row["negatives"]))]


def taught(
    lever: Lever, some: list[dict[str, Any]], q: torch.Tensor, d: torch.Tensor
) -> torch.Tensor:
    """Return the loss of a batch against its rows' teacher.

    ``d`` has the positives first, then the negatives row by row. A logit of the student is a
    cosine by the temperature, as in its softmax. ``kl`` is KL(teacher, student) over the row's own
    passages. ``margin`` is the mean square of how the differences from positive to negative
    differ, times the temperature: so its slope by a cosine is of the softmax's size.
    """
    width = max(len(row["teacher"]) for row in some)
    place = torch.zeros((len(some), width), dtype=torch.long)
    logits = torch.zeros((len(some), width))
    real = torch.zeros((len(some), width), dtype=torch.bool)
    at = len(some)
    for number, row in enumerate(some):
        count = len(row["negatives"])
        place[number, : 1 + count] = torch.tensor([number, *range(at, at + count)])
        logits[number, : 1 + count] = torch.tensor(row["teacher"])
        real[number, : 1 + count] = True
        at += count
    place, teacher, real = place.to(q.device), logits.to(q.device), real.to(q.device)
    student = torch.einsum("rh,rph->rp", q, d[place]) / lever.temperature
    if lever.teacher == "kl":
        theirs = F.log_softmax(teacher.masked_fill(~real, -1e9), -1)
        own = F.log_softmax(student.masked_fill(~real, -1e9), -1)
        return F.kl_div(own, theirs, log_target=True, reduction="batchmean")
    off = (student[:, :1] - student[:, 1:]) - (teacher[:, :1] - teacher[:, 1:])
    negative = real[:, 1:]
    return lever.temperature * (off.square() * negative).sum() / negative.sum().clamp(min=1)


def news() -> list[dict[str, Any]]:
    """Return what this process measured of teachers since it was last asked, a line each."""
    told = list(_news)
    _news.clear()
    return told


@torch.no_grad()
def scored(model: Scorer, data: Data, pairs: list[tuple[int, int]]) -> list[float]:
    """Return the logit of each pair, in the order given; the long ones are done first."""
    model.eval()
    sizes = [-len(data.query_ids[q]) - len(data.document_ids[d]) for q, d in pairs]
    order = sorted(range(len(pairs)), key=sizes.__getitem__)
    made = torch.zeros(len(pairs))
    for at in range(0, len(order), 512):
        some = order[at : at + 512]
        made[some] = model(data, [pairs[i] for i in some]).cpu()
    return made.tolist()


def _home(data: Data, lever: Lever, bare: Any) -> Path:
    """Return the folder of a set's teacher: another base, split or setting has another."""
    weight = bare.encoder.layer[-1].output.dense.weight.detach().cpu().numpy()
    told = (data.query_ids, data.document_ids, data.qrels["train"], Path(__file__).read_text())
    digest = hashlib.sha256(repr(told).encode() + weight.tobytes()).hexdigest()[:16]
    root = Path(tempfile.gettempdir()) / f"ragd-tune-levers-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    home = root / f"{lever.set}-{digest}"
    home.mkdir(exist_ok=True)
    return home


def _locked(path: Path) -> FileLock:
    return FileLock(path.with_suffix(".lock"))  # a worker that dies lets go of it


def _save_scores(path: Path, scores: list[float]) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        np.save(file, np.array(scores, dtype=np.float32), allow_pickle=False)
    draft.replace(path)


def _model(
    home: Path, data: Data, lever: Lever, bare: Any, base: dict[str, torch.Tensor]
) -> Scorer:
    path = home / "teacher.safetensors"
    if home in _models:
        return _models[home]
    with _locked(path), torch.random.fork_rng():  # the student's dropout is to be the same
        torch.manual_seed(0)
        model = Scorer(bare)
        if path.exists():
            model.load_state_dict(load_file(path))
        else:
            began = time.perf_counter()
            told = _train(model, data, base)
            told["seconds"] = round(time.perf_counter() - began, 1)
            _news.append({"set": lever.set, "teacher": True, **told, **_judge(model, data, base)})
            draft = path.with_suffix(".draft")
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, draft)
            draft.replace(path)
    _models[home] = model
    return model


def _train(model: Scorer, data: Data, base: dict[str, torch.Tensor]) -> dict[str, Any]:
    # No margin: what is hard to tell from an answer is what a reranker is for.
    rows = rows_of(data, Lever(negatives=DEPTH, depth=DEPTH, margin=1e9), base)
    draw = random.Random(0)
    draw.shuffle(rows)
    size = max(16, math.ceil(len(rows) / STEPS))
    steps = math.ceil(len(rows) / size)
    adamw = torch.optim.AdamW(model.parameters(), lr=RATE, fused=data.device.startswith("cuda"))
    losses = []
    model.train()
    for step in range(steps):
        rising = (step + 1) / (WARMUP * steps)
        adamw.param_groups[0]["lr"] = RATE * min(rising, 1.0, (steps - step) / steps / (1 - WARMUP))
        some = rows[step * size : (step + 1) * size]
        pairs = [(row["query"], did) for row in some for did in _drawn(row, data, draw)]
        logits = model(data, pairs).view(len(some), -1)
        loss = F.cross_entropy(logits, torch.zeros_like(logits[:, 0], dtype=torch.long))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad(set_to_none=True)
        losses.append(loss.detach())
    last = torch.stack(losses[-20:]).mean().item()
    return {"steps": steps, "batch": size, "last_loss": round(last, 4)}


def _drawn(row: dict[str, Any], data: Data, draw: random.Random) -> list[int]:
    found = draw.sample(row["negatives"], min(NEGATIVES, len(row["negatives"])))
    while len(found) < NEGATIVES:  # the base found too little: any others
        other = draw.randrange(len(data.documents))
        if str(data.first[other]) not in row["relevant_keys"]:
            found.append(other)
    return [row["positive"], *found]


def _judge(model: Scorer, data: Data, base: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Return nDCG@10 on dev of the base's best 50, in its order and in the teacher's."""
    rows, unique = sorted(data.qrels["dev"]), sorted(set(data.first))
    scores = base["queries"][rows] @ base["documents"][unique].T
    found = scores.topk(min(DEPTH, len(unique))).indices.tolist()
    best = {qid: [unique[i] for i in one] for qid, one in zip(rows, found, strict=True)}
    logits = iter(scored(model, data, [(qid, did) for qid in rows for did in best[qid]]))
    again = {
        qid: [d for _, d in sorted(((next(logits), d) for d in one), reverse=True)]
        for qid, one in best.items()
    }
    return {"dev": {"first_stage": _ndcg(data, best), "reranked": _ndcg(data, again)}}


def _ndcg(data: Data, ranked: dict[int, list[int]]) -> float:
    total = 0.0
    for qid, order in ranked.items():
        gains = {data.first[did]: score for did, score in data.qrels["dev"][qid].items()}
        total += share_of_ideal(gains, order)
    return total / len(ranked)
