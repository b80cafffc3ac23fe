"""No question of training may stand in a proof, nearly the same ones included."""

from __future__ import annotations

from ragd_tune.data.leaks import leaks
from ragd_tune.data.model import DataSet


def apart(data: DataSet) -> tuple[DataSet, list[str]]:
    """Return ``data`` without questions that leak between splits, and their ids.

    The one on the side that is proven on stays: training loses to dev and test, dev to test.
    """
    gone: list[str] = []
    while found := {leak.other for leak in leaks(data) if leak.other != leak.qid}:
        gone += sorted(found)
        qrels = {
            split: {qid: rows for qid, rows in judged.items() if qid not in found}
            for split, judged in data.qrels.items()
        }
        data = DataSet.of(
            corpus=data.corpus,
            queries={qid: query for qid, query in data.queries.items() if qid not in found},
            qrels=qrels,
            negatives={qid: dids for qid, dids in data.negatives.items() if qid not in found},
            source=data.source,
            about=data.about,
        )
    return data, gone
