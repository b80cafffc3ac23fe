"""Tiny data that can be learned: rows of an objective, and a whole data set."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from ragd_tune.kinds import Profile
from ragd_tune.objectives import Row, Rows
from ragd_tune.plan import Device, Side

if TYPE_CHECKING:
    from ragd_tune.data import DataSet

_WORDS = """
anchor apple arrow autumn basket beach bell bird boat bottle branch bread bridge button
candle castle chair cheese cherry circle clock cloud coat copper corner cotton dance
desert door dust eagle earth engine feather fence field finger fire flower forest fox
garden glass gold grass hammer harbour hill honey horse island jacket key kitchen ladder
lake lamp leaf lemon letter
"""
WORDS = tuple(_WORDS.split())
"""What the samples are written in: a tokenizer that knows these words can tell all texts apart."""


def contrastive_rows(train: int = 14, dev: int = 4, *, seed: int = 0) -> Rows:
    """Return rows of the objective ``contrastive``: a query is some words of its passage.

    The first five training rows share one passage, so that the core's batches have to keep them
    apart and come out with different sizes; every third row has two negatives of its own.
    """
    draw = random.Random(seed)
    passages = [" ".join(draw.sample(WORDS, 12)) for _ in range(train + dev)]
    passages[1:5] = [passages[0]] * 4
    keys = ["p0" if text == passages[0] else f"p{i}" for i, text in enumerate(passages)]
    rows = [_row(i, passages, keys, draw) for i in range(train + dev)]
    return Rows(objective="contrastive", train=rows[:train], dev=rows[train:])


def _row(index: int, passages: list[str], keys: list[str], draw: random.Random) -> Row:
    text, key = passages[index], keys[index]
    row: dict[str, object] = {
        "query": " ".join(draw.sample(text.split(), 4)),
        "positive": text,
        "positive_key": key,
        "relevant_keys": [key],
    }
    if index % 3 == 0:
        row["negatives"] = [" ".join(draw.sample(WORDS, 12)) for _ in range(2)]
        row["negative_keys"] = [f"n{index}.{i}" for i in range(2)]
    return row


def causal_rows(train: int = 14, dev: int = 4, *, seed: int = 0) -> Rows:
    """Return rows of the objective ``causal_lm``: which of two words stands in a passage.

    Prompts differ in length, so that a batch is padded; every third row has a system text, and
    every second one keeps the passage that its answer stands on.
    """
    draw = random.Random(seed)
    rows = [_causal_row(index, draw) for index in range(train + dev)]
    return Rows(objective="causal_lm", train=rows[:train], dev=rows[train:])


def _causal_row(index: int, draw: random.Random) -> Row:
    words = draw.sample(WORDS, 4 + index % 3)
    passage, answer = " ".join(words[:-1]), words[0]
    asked = [answer, words[-1]] if index % 2 else [words[-1], answer]
    row: dict[str, object] = {
        "prompt": f"{passage}\n{' or '.join(asked)}?",
        "completion": f"{answer} {answer}",
    }
    if index % 2:
        row["keep"] = [passage]
    if index % 3 == 0:
        row["system"] = "bell book"
    return row


def translated_data(*, queries: int = 240, seed: int = 0) -> DataSet:
    """Return a data set whose queries say the words of their passage in another language.

    A base that never saw both finds next to nothing, and one that learned from the training
    queries finds the new passages of the test queries: a gain that a proof can show.
    """
    from ragd_tune.data import DataSet, Document, Query

    draw = random.Random(seed)
    corpus, asked = {}, {}
    qrels: dict[str, dict[str, dict[str, float]]] = {"train": {}, "dev": {}, "test": {}}
    for number in range(queries):
        qid, did = f"q{number}", f"d{number}"
        words = draw.sample(WORDS[:24], 4)
        corpus[did] = Document(id=did, text=" ".join(words), document=f"source{number}")
        asked[qid] = Query(id=qid, text=" ".join(f"{word}o" for word in words[:3]))
        qrels[("train", "dev", "train", "test", "train")[number % 5]][qid] = {did: 1.0}
    return DataSet.of(corpus=corpus, queries=asked, qrels=qrels, source="translated data")


def tiny_data(*, queries: int = 48, seed: int = 0) -> DataSet:
    """Return a data set with a quarter of its queries for dev, a quarter for test, and negatives.

    One passage a query, each of a document of its own, so that every query is a cluster.
    """
    from ragd_tune.data import DataSet, Document, Query

    draw = random.Random(seed)
    corpus, asked = {}, {}
    qrels: dict[str, dict[str, dict[str, float]]] = {"train": {}, "dev": {}, "test": {}}
    for number in range(queries):
        qid, did = f"q{number}", f"d{number}"
        text = " ".join(draw.sample(WORDS, 12))
        corpus[did] = Document(id=did, text=text, document=f"source{number}")
        asked[qid] = Query(id=qid, text=" ".join(draw.sample(text.split(), 4)))
        qrels[("train", "dev", "train", "test")[number % 4]][qid] = {did: 1.0}
    negatives = {qid: (f"d{(int(qid[1:]) + 1) % queries}",) for qid in qrels["train"]}
    return DataSet.of(
        corpus=corpus, queries=asked, qrels=qrels, negatives=negatives, source="tiny data"
    )


ODD = {
    "scripts": "Überprüfung 檢索 поиск بحث חיפוש 🔎🏽 e\u0301 \u200b\ufeff",
    "blank": " ",
    "empty": "",
    "long": "garden forest " * 2_000,
    "one-long-word": "x" * 20_000,
    "control": "tab\tline\nreturn\r\x01",
}
"""Texts that a user's files may hold."""


_SIZES = (1, 2, 40, 500, 10_000, 1_000_000)
_SIDES: tuple[Side, ...] = ("both", "query")
_DEVICES: tuple[Device, ...] = ("cpu", "cuda", "mps")
_MACHINES = ((1, 0), (2, 2 << 30), (64, 1 << 40))


def profiles(tunings: tuple[str, ...]) -> Iterator[Profile]:
    """Yield profiles of small and large data on small and large machines."""
    for tuning, rows, side, device, (cores, memory) in product(
        tunings, _SIZES, _SIDES, _DEVICES, _MACHINES
    ):
        yield Profile(
            tuning=tuning, side=side, rows=rows, device=device, cores=cores, memory=memory
        )
