"""Measure a data set against a base model: on a sample, by the same search as a proof's."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from ragd_tune.advise.facts import Facts, Hardware
from ragd_tune.data import DataSet
from ragd_tune.evaluate.search import TopK

if TYPE_CHECKING:
    from ragd_tune.data.generate.roundtrip import Embed
    from ragd_tune.data.tokens import CountTokens

Progress = Callable[[str, float], None]

QUESTIONS, PASSAGES = 200, 2000
"""At the most, so that a large corpus takes minutes and not hours; answers are always in."""
_BLOCK = 256
_WORDS = 5000


def measure(
    data: DataSet,
    hardware: Hardware,
    *,
    split: str,
    generated: bool,
    embed: Embed | None = None,
    count: CountTokens | None = None,
    seed: int = 0,
    progress: Progress = lambda text, done: None,
) -> Facts:
    """Return the facts of ``data``; what needs a model is measured with ``embed`` and ``count``."""
    told: dict[str, float] = {}
    asked, ids = sample(data, split, seed)
    if count is not None:
        told |= vocabulary(data, count, seed)
    ranked: dict[str, list[list[int]]] = {}
    if embed is not None and asked:
        ranked["dense"], seconds = _dense(data, asked, ids, embed, progress)
        told["seconds_a_pair"] = seconds
    if find_spec("bm25s") is not None and asked:
        ranked["lexical"] = _lexical(data, asked, ids)
    told |= _quality(data, split, asked, ids, ranked)
    measured: Any = told  # counts among them are whole numbers
    return Facts(
        passages=len(data.corpus),
        pairs=sum(len(found) for found in data.qrels.get("train", {}).values()),
        groups=len(set(data.clusters(split).values())) if split in data.qrels else 0,
        generated=generated,
        hardware=hardware,
        sample=len(asked),
        searched=len(ids),
        **measured,
    )


def sample(data: DataSet, split: str, seed: int) -> tuple[list[str], list[str]]:
    """Return questions of ``split`` and the passages to search: all answers, and others."""
    draw = random.Random(seed)
    judged = data.qrels.get(split, {})
    asked = sorted(judged)
    asked = draw.sample(asked, min(QUESTIONS, len(asked)))
    answers = sorted({did for qid in asked for did in judged[qid]})
    others = sorted(set(data.corpus) - set(answers))
    room = max(0, min(len(others), PASSAGES - len(answers)))
    return asked, answers + draw.sample(others, room)


def vocabulary(data: DataSet, count: CountTokens, seed: int) -> dict[str, float]:
    """Return tokens a word, and the share of words cut into four pieces or more.

    Over the distinct words of a sample; special tokens, two of every text, are taken off.
    """
    words = sorted({word for doc in data.corpus.values() for word in doc.text.split()})
    words = [word for word in words if any(map(str.isalpha, word))]
    picked = random.Random(seed).sample(words, min(_WORDS, len(words)))
    if not picked:
        return {}
    special = count([""])[0]
    pieces = np.array(count(picked)) - special
    return {"pieces": float(pieces.mean()), "broken": float((pieces >= 4).mean())}


def _dense(
    data: DataSet, asked: Sequence[str], ids: Sequence[str], embed: Embed, progress: Progress
) -> tuple[list[list[int]], float]:
    start = time.perf_counter()
    queries = embed([data.queries[qid].text for qid in asked], "query")
    a_query = (time.perf_counter() - start) / len(asked)
    best = TopK(queries, 50)
    start = time.perf_counter()
    for at in range(0, len(ids), _BLOCK):
        progress("searching with the base", at / len(ids))
        block = ids[at : at + _BLOCK]
        best.add(embed([data.corpus[did].passage for did in block], "document"))
    a_passage = (time.perf_counter() - start) / len(ids)
    return best.result()[1].tolist(), a_query + a_passage


def _lexical(data: DataSet, asked: Sequence[str], ids: Sequence[str]) -> list[list[int]]:
    from ragd_tune.data.mine.lexical import Lexical

    index = Lexical([data.corpus[did].passage for did in ids])
    found = index.search([data.queries[qid].text for qid in asked], 50)
    return [numbers.tolist() for _, numbers in found]


def _quality(
    data: DataSet,
    split: str,
    asked: Sequence[str],
    ids: Sequence[str],
    ranked: Mapping[str, list[list[int]]],
) -> dict[str, float]:
    """Return nDCG@10 of both, how far the base reaches, and how much the two agree."""
    told: dict[str, float] = {}
    qrels = {qid: data.qrels[split][qid] for qid in asked}
    for name, rows in ranked.items():
        runs = {qid: [ids[number] for number in row] for qid, row in zip(asked, rows, strict=True)}
        scores = [_ndcg(runs[qid][:10], qrels[qid]) for qid in asked]
        told[name] = float(np.mean(scores))
        if name == "dense":
            reached = [bool(set(runs[qid][:50]) & set(qrels[qid])) for qid in asked]
            told["reach"] = float(np.mean(reached))
    if len(ranked) == 2:
        pairs = zip(ranked["dense"], ranked["lexical"], strict=True)
        told["agreement"] = float(np.mean([len(set(a[:10]) & set(b[:10])) / 10 for a, b in pairs]))
    return told


def _ndcg(found: Sequence[str], judged: Mapping[str, float]) -> float:
    """Return nDCG@10 with the gain rel / log2(1 + rank), as trec_eval's."""
    gains = [judged.get(did, 0.0) for did in found]
    ideal = sorted(judged.values(), reverse=True)[:10]
    discount = 1 / np.log2(np.arange(2, 12))
    best = float(np.dot(ideal, discount[: len(ideal)]))
    return float(np.dot(gains, discount[: len(gains)])) / best if best else 0.0
