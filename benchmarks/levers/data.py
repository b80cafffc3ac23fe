"""A BEIR folder as tokens, its search, and its measure."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file, packed or not."""
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        text = gzip.decompress(path.with_name(path.name + ".gz").read_bytes()).decode()
    return [json.loads(line) for line in text.splitlines()]


def same(text: str) -> str:
    """Return what two texts have in common that are one passage, or one question."""
    return " ".join(text.split()).casefold()


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
        first: dict[str, int] = {}
        self.first = [first.setdefault(same(text), i) for i, text in enumerate(self.documents)]
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
        total += share_of_ideal(gains, [int(d) for d in best])
    return total / len(rows)


def share_of_ideal(gains: Mapping[int, float], order: Sequence[int]) -> float:
    """Return nDCG@10 of one query's ranking, by what each document gains."""
    got = sum(gains.get(did, 0.0) / math.log2(k + 2) for k, did in enumerate(order[:10]))
    ideal = sorted(gains.values(), reverse=True)[:10]
    return got / sum(gain / math.log2(k + 2) for k, gain in enumerate(ideal))
