"""One run: its loss, its steps, its measure."""

from __future__ import annotations

import copy
import math
import random
import time
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.levers.data import Data, ndcg
from benchmarks.levers.groups import grouped
from benchmarks.levers.lever import Lever
from benchmarks.levers.model import Low, embed, tuned, vectors
from benchmarks.levers.rows import rows_of
from benchmarks.levers.teacher import taught, teach

from ragd_tune.objectives import batches
from ragd_tune.training.course import rate


def relevant(some: list[dict[str, Any]], device: str) -> torch.Tensor:
    """Return where a passage of the batch answers another row's query, (rows, passages)."""
    keys = [row["positive_key"] for row in some]
    keys += [key for row in some for key in row["negative_keys"]]
    known = torch.tensor([[key in row["relevant_keys"] for key in keys] for row in some])
    known[range(len(some)), range(len(some))] = False
    return known.to(device)


def old(
    q: torch.Tensor,
    some: list[dict[str, Any]],
    kept: torch.Tensor,
    memory: dict[str, Any],
    lever: Lever,
) -> torch.Tensor:
    """Return the scores of passages of the last batches; those that answer the query are masked."""
    scores = q @ kept.T / lever.temperature
    known = [[key in row["relevant_keys"] for key in memory.get("keys", [])] for row in some]
    mask = torch.tensor(known, dtype=torch.bool, device=q.device).reshape(scores.shape)
    return scores.masked_fill(mask, -torch.inf)


def loss_of(
    model: Any,
    data: Data,
    lever: Lever,
    some: list[dict[str, Any]],
    base: dict[str, torch.Tensor],
    memory: dict[str, Any],
) -> torch.Tensor:
    """Return the in-batch softmax of one batch, with what the lever adds to it."""
    asked = [row["query"] for row in some]
    passages = [row["positive"] for row in some]
    passages += [did for row in some for did in row["negatives"]]
    q = vectors(model, *data.batch([data.query_ids[i] for i in asked], lever.length), data.device)
    d = vectors(
        model, *data.batch([data.document_ids[i] for i in passages], lever.length), data.device
    )
    scores = q @ d.T / lever.temperature
    target = torch.arange(len(some), device=scores.device)
    known = base["queries"][asked] @ base["documents"][passages].T
    if lever.group:
        scores = scores.masked_fill(relevant(some, data.device), -torch.inf)
    if lever.share:
        hidden = known > lever.share * known.diagonal().unsqueeze(1)
        hidden[target, target] = False
        scores = scores.masked_fill(hidden, -torch.inf)
    if lever.bank:
        stale = [did for row in some for did in row["bank"]]
        scores = torch.cat([scores, q @ base["documents"][stale].T / lever.temperature], 1)
    if lever.memory:
        kept = memory.get("vectors", d[:0].detach())
        scores = torch.cat([scores, old(q, some, kept, memory, lever)], 1)
        told = [row["positive_key"] for row in some]
        told += [key for row in some for key in row["negative_keys"]]
        memory["vectors"] = torch.cat([kept, d.detach()])[-lever.memory :]
        memory["keys"] = [*memory.get("keys", []), *told][-lever.memory :]
    if lever.guide > -1:
        hidden = known > known.diagonal().unsqueeze(1) + lever.guide
        hidden[target, target] = False
        scores = scores.masked_fill(hidden, -torch.inf)
    made = F.cross_entropy(scores, target)
    if lever.both_ways:
        made = (made + F.cross_entropy(scores[:, : len(some)].T, target)) / 2
    if lever.distil:
        teacher = F.log_softmax(known / lever.temperature, -1)
        student = F.log_softmax(q @ d.T / lever.temperature, -1)
        made = made + lever.distil * F.kl_div(
            student, teacher, log_target=True, reduction="batchmean"
        )
    if lever.teacher:
        made = made + lever.teacher_weight * taught(lever, some, q, d)
    return made


def _copy(bare: Any, lever: Lever) -> Any:
    random.seed(lever.seed)
    torch.manual_seed(lever.seed)
    model = copy.deepcopy(bare)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = lever.dropout
    for layer in model.encoder.layer:  # the fused attention has none
        layer.attention.self.dropout.p = 0.0
    return model


def _course(
    rows: list[dict[str, Any]], lever: Lever, base: dict[str, torch.Tensor]
) -> list[list[int]]:
    whole = math.ceil(lever.epochs)

    def epoch(number: int) -> list[list[int]]:
        if not lever.group:
            return batches(rows, batch_size=lever.batch, seed=lever.seed, epoch=number)
        seed = 1000 * lever.seed + number
        given = {"size": lever.group, "batch": lever.batch, "share": lever.share or lever.margin}
        return grouped(rows, base, **given, seed=seed)  # type: ignore[arg-type]

    made = [batch for number in range(whole) for batch in epoch(number)]
    return made[: max(1, round(len(made) * lever.epochs / whole))]


class Average:
    """A running average of the weights that are trained; none where the share is 0."""

    def __init__(self, trained: list[torch.Tensor], share: float) -> None:
        self.trained, self.share = trained if share else [], share
        self.kept = [p.detach().clone() for p in self.trained]

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Take in the weights after ``step`` (from 0)."""
        for kept, p in zip(self.kept, self.trained, strict=True):
            kept.lerp_(p, 1 - min(self.share, (step + 1) / (step + 10)))

    @torch.no_grad()
    def use(self) -> None:
        """Put the average in place of the weights."""
        for kept, p in zip(self.kept, self.trained, strict=True):
            p.copy_(kept)


def train(lever: Lever, data: Data, bare: Any, base: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Do one run and return what it came to."""
    model = _copy(bare, lever).train()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    adamw = torch.optim.AdamW(tuned(model, lever), fused=data.device.startswith("cuda"))
    rows = rows_of(data, lever, base)
    if lever.teacher:
        teach(rows, data, lever, bare, base)
    course = _course(rows, lever, base)
    peaks = [group["lr"] for group in adamw.param_groups]
    trained = [p for p in model.parameters() if p.requires_grad]
    average = Average(trained, lever.ema)
    began, tokens = time.perf_counter(), 0
    memory: dict[str, Any] = {}
    for step, batch in enumerate(course):
        some = [rows[i] for i in batch]
        now = rate(step, steps=len(course), warmup=lever.warmup, schedule=lever.schedule)
        for group, peak in zip(adamw.param_groups, peaks, strict=True):
            group["lr"] = peak * now
        loss_of(model, data, lever, some, base, memory).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        adamw.step()
        adamw.zero_grad(set_to_none=True)
        average.add(step)
        tokens += _tokens(data, some, lever.length)
    seconds = time.perf_counter() - began
    average.use()
    made: dict[str, Any] = {"steps": len(course), "seconds": seconds, "tokens": tokens}
    for split in ("dev", "test") if lever.test else ("dev",):
        made[split] = _measure(model, start, data, lever, split)
    return made


def _tokens(data: Data, some: list[dict[str, Any]], length: int) -> int:
    passages = [did for row in some for did in (row["positive"], *row["negatives"])]
    texts = [data.document_ids[did] for did in passages]
    texts += [data.query_ids[row["query"]] for row in some]
    return sum(min(length, len(text)) for text in texts)


@torch.no_grad()
def _measure(
    model: Any, start: dict[str, torch.Tensor], data: Data, lever: Lever, split: str
) -> dict[str, float]:
    """Return nDCG@10 at each weight of the tuned model, which is left as it was."""
    made = {}
    now = {name: p.detach().clone() for name, p in model.named_parameters()}
    for weight in lever.wise:
        _move(model, start, now, weight)
        asked = sorted(data.qrels[split])
        q = torch.zeros((len(data.queries), model.config.hidden_size), device=data.device)
        q[asked] = embed(model, data, [data.query_ids[i] for i in asked], 256)
        d = embed(model, data, data.document_ids, 256)
        made[str(weight)] = ndcg(data, split, q, d)
    _move(model, start, now, 1.0)
    return made


def _move(
    model: Any, start: dict[str, torch.Tensor], now: dict[str, torch.Tensor], weight: float
) -> None:
    """Go ``weight`` of the way from ``start`` to ``now``; of LoRA, each layer has a ``b``."""
    has_low = any(isinstance(module, Low) for module in model.modules())
    for name, p in model.named_parameters():
        if not has_low:
            p.copy_(torch.lerp(start[name], now[name], weight))
        elif name.endswith(".b"):
            p.copy_(now[name] * weight)
