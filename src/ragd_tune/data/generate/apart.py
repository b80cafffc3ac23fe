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
        data = data.without(found)
    return data, gone
