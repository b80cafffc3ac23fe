"""A data set of people and where they live, with answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragd_tune.data import DataSet, Document, Query
from ragd_tune.data.raft import Example, write_examples


def make(folder: Path, *, people: int = 48) -> DataSet:
    """Return a data set whose answers lie in files of ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus, queries = {}, {}
    qrels: dict[str, dict[str, dict[str, float]]] = {"train": {}, "dev": {}, "test": {}}
    examples: dict[str, list[Example]] = {split: [] for split in qrels}
    for number in range(people):
        qid, did, split = f"q{number}", f"d{number}", ("train", "dev", "train", "test")[number % 4]
        text = f"Person{number} likes tea. Person{number} lives in town{number}."
        corpus[did] = Document(id=did, text=text, document=f"source{number}")
        queries[qid] = Query(id=qid, text=f"Where does Person{number} live?")
        qrels[split][qid] = {did: 1.0}
        examples[split].append(
            Example(
                question=queries[qid].text,
                answer=f"town{number}",
                oracle=(text,),
                oracle_ids=(did,),
            )
        )
    for split, some in examples.items():
        write_examples(folder / f"raft_{split}.jsonl", some)
    return DataSet.of(corpus=corpus, queries=queries, qrels=qrels, source=folder)


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return make(tmp_path / "people")
