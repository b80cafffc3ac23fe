"""Two hundred documents that people asked about, as files for ragd and as a data set for training.

``two_hundred.py SOURCE OUT``, run with ragd's Python.

They come from apibench (see RAGD_TUNE_DATA): descriptions of APIs, and what people want done.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from ragd_tune.data import DataSet, read
from ragd_tune.data.write import write

DOCUMENTS = 200


def build(source: Path, out: Path, *, documents: int = DOCUMENTS, seed: int = 0) -> dict[str, int]:
    """Write ``out/docs/*.txt`` and the data set ``out/data``; return the judged pairs by split.

    Documents are drawn among those that training and test both ask about.
    """
    data = read(source)
    asked = {split: {did for one in data.qrels[split].values() for did in one} for split in SPLITS}
    known = sorted(asked["train"] & asked["test"])
    picked = set(random.Random(seed).sample(known, documents))
    qrels = {
        split: {
            qid: {did: grade for did, grade in judged.items() if did in picked}
            for qid, judged in data.qrels[split].items()
            if picked & set(judged)
        }
        for split in SPLITS
    }
    queries = {qid for judged in qrels.values() for qid in judged}
    (out / "docs").mkdir(parents=True)
    for did in sorted(picked):
        (out / "docs" / f"{did}.txt").write_text(data.corpus[did].passage, encoding="utf-8")
    made = DataSet.of(
        corpus={did: data.corpus[did] for did in sorted(picked)},
        queries={qid: data.queries[qid] for qid in sorted(queries)},
        qrels=qrels,
        source=data.source,
    )
    write(made, out / "data")
    return {split: sum(len(one) for one in judged.values()) for split, judged in qrels.items()}


SPLITS = ("train", "dev", "test")

if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
