"""Small data sets, as files, for every test of this room."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

Beir = Callable[..., Path]

CORPUS = [
    {"_id": "d1", "title": "Cats", "text": "Cats sleep through most of the day."},
    {"_id": "d2", "title": "", "text": "Rivers carry sand down to the sea."},
    {"_id": "d3", "title": "", "text": "Bread rises because yeast makes gas."},
]
QUERIES = [
    {"_id": "q1", "text": "how long do cats sleep"},
    {"_id": "q2", "text": "where does river sand go"},
    {"_id": "q3", "text": "why does bread rise"},
]
QRELS = {"train": [("q1", "d1", 1)], "dev": [("q2", "d2", 1)], "test": [("q3", "d3", 1)]}


@pytest.fixture
def beir(tmp_path: Path) -> Beir:
    """Write a BEIR folder; each part can be replaced."""

    def make(
        corpus: Sequence[Mapping[str, object]] = CORPUS,
        queries: Sequence[Mapping[str, object]] = QUERIES,
        qrels: Mapping[str, Sequence[tuple[str, str, float]]] = QRELS,
        name: str = "set",
    ) -> Path:
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        for part, rows in (("corpus", corpus), ("queries", queries)):
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / f"{part}.jsonl").write_text(text, encoding="utf-8", newline="\n")
        for split, judged in qrels.items():
            table = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in judged)]
            text = "\n".join(table) + "\n"
            (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8", newline="\n")
        return folder

    return make
