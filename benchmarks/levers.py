"""Try levers of a bi-encoder's recipe on the dev splits of BEIR folders, many runs side by side.

    python benchmarks/levers.py BASE OUT.jsonl RUNS.json SET [SET ...] --device cuda --workers 8

``RUNS.json`` is a list of objects, one a run, each some of the fields of :class:`Lever` and the
``set`` to run on (a folder's name). One line of ``OUT.jsonl`` is one run: its fields, nDCG@10 on
dev at each weight of the tuned model (1 is the tuned model, 0 the base: WiSE-FT), and with
``"test": true`` on test as well. The loop is plain PyTorch, so that a lever costs a line here and
not a feature there; what wins is built into the backend and measured again.

It needs torch, transformers and NumPy, and the sources of ragd-tune on PYTHONPATH for its batches.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import math
import multiprocessing
import os
import random
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ragd_tune.objectives import batches


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One run. The defaults are the recipe that is copied most: 3 epochs at 2e-5, batches of 32."""

    set: str = ""
    tuning: str = "full"  # full, lora
    top: int = 0  # train only the top layers (0: all) ...
    embeddings: bool = True  # ... and the embeddings
    rank: int = 16
    learning_rate: float = 2e-5
    batch: int = 32
    epochs: float = 3.0
    temperature: float = 0.05
    warmup: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.01
    length: int = 256
    dropout: float = 0.1
    negatives: int = 0  # mined by the base, for each row
    margin: float = 0.95  # kept if they score below this share of the positive
    depth: int = 100  # of the ranking that negatives come from
    mine_short: bool = False  # by vectors of the first 128 tokens
    sample: bool = False  # draw them from the ranking, not the hardest ones
    guide: float = -1.0  # mask in-batch passages whose base cosine is above the positive's + this
    both_ways: bool = False  # also from passage to query
    decay: float = 1.0  # learning rate of a layer, by that of the layer above
    ema: float = 0.0  # average of weights along the run
    distil: float = 0.0  # weight of the KL divergence from the base's own in-batch scores
    seed: int = 0
    wise: tuple[float, ...] = (1.0,)
    test: bool = False


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file, packed or not."""
    found = path if path.is_file() else path.with_name(path.name + ".gz")
    text = gzip.open(found, "rt", encoding="utf-8") if found.suffix == ".gz" else found.open()
    with text as file:
        return [json.loads(line) for line in file]


class Data:
    """A BEIR folder, tokenised once, with the base's vectors of everything."""

    def __init__(self, folder: Path, base: Path, device: str) -> None:
        from transformers import AutoTokenizer

        self.device = device
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        corpus, queries = lines(folder / "corpus.jsonl"), lines(folder / "queries.jsonl")
        self.documents = [(r.get("title", "") + " " + r["text"]).strip() for r in corpus]
        self.queries = [r["text"] for r in queries]
        number = {r["_id"]: i for i, r in enumerate(corpus)}
        asked = {r["_id"]: i for i, r in enumerate(queries)}
        same: dict[str, int] = {}
        self.first = [
            same.setdefault(" ".join(text.split()).casefold(), i)
            for i, text in enumerate(self.documents)
        ]
        self.qrels: dict[str, dict[int, dict[int, float]]] = {}
        for path in sorted((folder / "qrels").iterdir()):
            judged: dict[int, dict[int, float]] = {}
            for line in path.read_text(encoding="utf-8").splitlines()[1:]:
                qid, did, score = line.split("\t")
                if float(score) > 0:
                    judged.setdefault(asked[qid], {})[number[did]] = float(score)
            self.qrels[path.stem] = judged
        self.document_ids = self._ids(self.documents)
        self.query_ids = self._ids(self.queries)

    def _ids(self, texts: list[str]) -> list[list[int]]:
        made = self.tokenizer(texts, truncation=True, max_length=256, add_special_tokens=True)
        return list(made["input_ids"])

    def batch(self, ids: list[list[int]], length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return padded ids and their mask; the last token stays the separator."""
        cut = [one if len(one) <= length else [*one[: length - 1], one[-1]] for one in ids]
        width = max(map(len, cut))
        made = torch.zeros((len(cut), width), dtype=torch.long)
        mask = torch.zeros((len(cut), width), dtype=torch.long)
        for row, one in enumerate(cut):
            made[row, : len(one)] = torch.tensor(one)
            mask[row, : len(one)] = 1
        return made.to(self.device), mask.to(self.device)


def vectors(model: Any, ids: torch.Tensor, mask: torch.Tensor, device: str) -> torch.Tensor:
    """Return mean-pooled vectors of length 1, float32."""
    kind = device.partition(":")[0]
    with torch.autocast(kind, dtype=torch.bfloat16):
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    hidden = hidden.float() * mask.unsqueeze(-1)
    return F.normalize(hidden.sum(1) / mask.sum(1, keepdim=True), dim=-1)


@torch.no_grad()
def embed(model: Any, data: Data, ids: list[list[int]], length: int) -> torch.Tensor:
    """Return vectors of all texts, the long ones first, in the order given."""
    was = model.training
    model.eval()
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    made = torch.zeros((len(ids), model.config.hidden_size), device=data.device)
    for at in range(0, len(order), 512):
        some = order[at : at + 512]
        made[some] = vectors(model, *data.batch([ids[i] for i in some], length), data.device)
    model.train(was)
    return made


def ndcg(data: Data, split: str, queries: torch.Tensor, documents: torch.Tensor) -> float:
    """Return nDCG@10 of an exact search, equal documents counted once."""
    judged = data.qrels[split]
    rows = sorted(judged)
    unique = sorted(set(data.first))
    place = {did: i for i, did in enumerate(unique)}
    found = (queries[rows] @ documents[unique].T).topk(10).indices.cpu().numpy()
    total = 0.0
    for row, best in zip(rows, found, strict=True):
        gains = {place[data.first[did]]: score for did, score in judged[row].items()}
        got = sum(gains.get(int(d), 0.0) / math.log2(k + 2) for k, d in enumerate(best))
        ideal = sorted(gains.values(), reverse=True)[:10]
        total += got / sum(gain / math.log2(k + 2) for k, gain in enumerate(ideal))
    return total / len(rows)


class Low(torch.nn.Module):
    """A linear layer with LoRA matrices beside it."""

    def __init__(self, inner: torch.nn.Linear, rank: int) -> None:
        super().__init__()
        self.inner = inner
        self.a = torch.nn.Parameter(torch.empty(rank, inner.in_features, device=inner.weight.device))
        torch.nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self.b = torch.nn.Parameter(torch.zeros(inner.out_features, rank, device=inner.weight.device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output plus twice the low-rank product (alpha is twice the rank)."""
        return self.inner(x) + 2.0 * F.linear(F.linear(x, self.a), self.b)


def tuned(model: Any, lever: Lever) -> list[dict[str, Any]]:
    """Freeze what the lever freezes; return AdamW's groups with their learning rates."""
    model.requires_grad_(False)
    layers = list(model.encoder.layer)
    kept = layers[-lever.top :] if lever.top else layers
    if lever.tuning == "lora":
        for layer in kept:
            for name, module in list(layer.named_modules()):
                if isinstance(module, torch.nn.Linear):
                    parent = layer.get_submodule(name.rpartition(".")[0])
                    setattr(parent, name.rpartition(".")[2], Low(module, lever.rank))
        found = [p for layer in kept for p in layer.parameters() if p.requires_grad]
        return [{"params": found, "lr": lever.learning_rate, "weight_decay": 0.0}]
    groups = []
    for depth, layer in enumerate(reversed(kept)):
        layer.requires_grad_(True)
        groups += _groups(layer, lever.learning_rate * lever.decay**depth, lever)
    if lever.embeddings and not lever.top:
        model.embeddings.requires_grad_(True)
        groups += _groups(model.embeddings, lever.learning_rate * lever.decay ** len(kept), lever)
    return groups


def _groups(module: Any, rate: float, lever: Lever) -> list[dict[str, Any]]:
    many = [p for p in module.parameters() if p.ndim > 1]
    few = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": many, "lr": rate, "weight_decay": lever.weight_decay},
        {"params": few, "lr": rate, "weight_decay": 0.0},
    ]


def mined(data: Data, lever: Lever, base: dict[str, torch.Tensor]) -> dict[tuple[int, int], list[int]]:
    """Return negatives for each (query, positive) of train, by the base's own ranking."""
    train = data.qrels["train"]
    rows = sorted(train)
    scores = base["queries"][rows] @ base["short" if lever.mine_short else "documents"].T
    best = scores.topk(min(lever.depth + 20, scores.shape[1])).indices.cpu().numpy()
    draw = random.Random(lever.seed)
    made = {}
    for at, qid in enumerate(rows):
        relevant = {data.first[d] for d in train[qid]}
        for did in train[qid]:
            top = float(scores[at, did])
            values = scores[at, torch.as_tensor(best[at], device=scores.device)].tolist()
            found: list[int] = []
            for other, value in zip(best[at].tolist(), values, strict=True):
                if data.first[other] not in relevant and value < lever.margin * top:
                    found.append(other)
            found = found[: lever.depth]
            if lever.sample and len(found) > lever.negatives:
                found = draw.sample(found, lever.negatives)
            made[qid, did] = found[: lever.negatives]
    return made


def rows_of(data: Data, lever: Lever, base: dict[str, torch.Tensor]) -> list[dict[str, Any]]:
    """Return contrastive rows of numbers, with the keys that the core's batches read."""
    train = data.qrels["train"]
    hard = mined(data, lever, base) if lever.negatives else {}
    by_text: dict[str, set[int]] = {}
    for qid, judged in train.items():
        text = " ".join(data.queries[qid].split()).casefold()
        by_text.setdefault(text, set()).update(data.first[d] for d in judged)
    made = []
    for qid, judged in train.items():
        relevant = by_text[" ".join(data.queries[qid].split()).casefold()]
        for did in judged:
            own = [d for d in hard.get((qid, did), ()) if data.first[d] not in relevant]
            made.append(
                {
                    "query": qid,
                    "positive": did,
                    "negatives": own,
                    "positive_key": str(data.first[did]),
                    "negative_keys": [str(data.first[d]) for d in own],
                    "relevant_keys": [str(d) for d in relevant],
                }
            )
    return made


def rate(step: int, steps: int, lever: Lever) -> float:
    """Return the share of the peak learning rate."""
    rising = math.ceil(lever.warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    done = (step - rising) / max(1, steps - rising)
    if lever.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0 if lever.schedule == "constant" else 1.0 - done


def loss_of(
    model: Any, data: Data, lever: Lever, some: list[dict[str, Any]], base: dict[str, torch.Tensor]
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
        made = made + lever.distil * F.kl_div(student, teacher, log_target=True, reduction="batchmean")
    return made


def train(lever: Lever, data: Data, bare: Any, base: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Do one run and return what it came to."""
    random.seed(lever.seed)
    torch.manual_seed(lever.seed)
    model = copy.deepcopy(bare)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = lever.dropout
    for layer in model.encoder.layer:  # the fused attention has none
        layer.attention.self.dropout.p = 0.0
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    adamw = torch.optim.AdamW(tuned(model, lever), fused=data.device.startswith("cuda"))
    rows = rows_of(data, lever, base)
    epochs = [batches(rows, batch_size=lever.batch, seed=lever.seed, epoch=n) for n in range(math.ceil(lever.epochs))]
    course = [batch for epoch in epochs for batch in epoch]
    steps = max(1, round(len(course) * lever.epochs / math.ceil(lever.epochs)))
    peaks = [group["lr"] for group in adamw.param_groups]
    trained = [p for p in model.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in trained] if lever.ema else []
    model.train()
    began, tokens = time.perf_counter(), 0
    for step, batch in enumerate(course[:steps]):
        for group, peak in zip(adamw.param_groups, peaks, strict=True):
            group["lr"] = peak * rate(step, steps, lever)
        loss = loss_of(model, data, lever, [rows[i] for i in batch], base)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        adamw.step()
        adamw.zero_grad(set_to_none=True)
        if lever.ema:
            with torch.no_grad():
                for kept, p in zip(average, trained, strict=True):
                    kept.lerp_(p, 1 - min(lever.ema, (step + 1) / (step + 10)))
        tokens += sum(min(lever.length, len(data.document_ids[d])) for i in batch for d in (rows[i]["positive"], *rows[i]["negatives"]))
        tokens += sum(min(lever.length, len(data.query_ids[rows[i]["query"]])) for i in batch)
    seconds = time.perf_counter() - began
    if lever.ema:
        with torch.no_grad():
            for kept, p in zip(average, trained, strict=True):
                p.copy_(kept)
    made: dict[str, Any] = {"steps": steps, "seconds": seconds, "tokens": tokens, "loss": float(loss.detach())}
    made["dev"] = _measure(model, start, data, lever, "dev")
    if lever.test:
        made["test"] = _measure(model, start, data, lever, "test")
    return made


@torch.no_grad()
def _measure(model: Any, start: dict[str, torch.Tensor], data: Data, lever: Lever, split: str) -> dict[str, float]:
    made = {}
    now = {name: p.detach().clone() for name, p in model.named_parameters()}
    lows = [m for m in model.modules() if isinstance(m, Low)]
    for weight in lever.wise:
        if lows:
            for low in lows:
                low.b.copy_(low.b * weight)
        else:
            for name, p in model.named_parameters():
                p.copy_(torch.lerp(start[name], now[name], weight))
        asked = sorted(data.qrels[split])
        q = torch.zeros((len(data.queries), model.config.hidden_size), device=data.device)
        q[asked] = embed(model, data, [data.query_ids[i] for i in asked], 256)
        d = embed(model, data, data.document_ids, 256)
        made[str(weight)] = ndcg(data, split, q, d)
        if lows:
            for low in lows:
                low.b.copy_(low.b / weight)
    return made


def work(base: Path, folders: list[Path], device: str, todo: Any, done: Any, until: float) -> None:
    """Take runs from ``todo`` until there are none, or the time is up."""
    from transformers import BertModel

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    bare = BertModel.from_pretrained(
        base, dtype=torch.float32, add_pooling_layer=False, attn_implementation="sdpa"
    ).to(device)
    at_hand: dict[str, tuple[Data, dict[str, torch.Tensor]]] = {}
    while True:
        raw = todo.get()
        if raw is None or time.time() > until:
            return
        try:
            bare_only = bool(raw.pop("base_only", False))
            lever = Lever(**{**raw, "wise": tuple(raw.get("wise", Lever.wise))})
            if lever.set not in at_hand:
                folder = next(f for f in folders if f.name == lever.set)
                data = Data(folder, base, device)
                at_hand[lever.set] = data, {
                    "queries": embed(bare, data, data.query_ids, 256),
                    "documents": embed(bare, data, data.document_ids, 256),
                    "short": embed(bare, data, data.document_ids, 128),
                }
            data, vecs = at_hand[lever.set]
            if bare_only:
                found = {s: ndcg(data, s, vecs["queries"], vecs["documents"]) for s in ("dev", "test")}
                done.put({**raw, **{s: {"0": v} for s, v in found.items()}})
                continue
            told = {f.name: getattr(lever, f.name) for f in fields(lever) if getattr(lever, f.name) != f.default}
            done.put({**told, **train(lever, data, bare, vecs)})
        except Exception as error:  # noqa: BLE001 - one bad run must not end the others
            done.put({**raw, "error": f"{type(error).__name__}: {error}"})


def main() -> None:
    """Hand the runs out and write down what comes back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9)
    asked = parser.parse_args()
    runs = json.loads(asked.runs.read_text())
    context = multiprocessing.get_context("spawn")
    todo, done = context.Queue(), context.Queue()
    until = time.time() + asked.seconds
    for run in runs:
        todo.put(run)
    for _ in range(asked.workers):
        todo.put(None)
    arguments = (asked.base, asked.sets, asked.device, todo, done, until)
    workers = [context.Process(target=work, args=arguments, daemon=True) for _ in range(asked.workers)]
    for worker in workers:
        worker.start()
    with asked.out.open("w", encoding="utf-8") as file:
        while any(w.is_alive() for w in workers) or not done.empty():
            try:
                found = done.get(timeout=1)
            except Exception:  # noqa: BLE001 - nothing yet
                continue
            file.write(json.dumps(found) + "\n")
            file.flush()
            if time.time() > until + 15:
                break
    os._exit(0)


if __name__ == "__main__":
    main()
