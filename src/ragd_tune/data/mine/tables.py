"""What stands beside a data set: read again, so that a new copy keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ragd_tune.data.findings import Findings
from ragd_tune.data.lines import lines
from ragd_tune.data.parts import find
from ragd_tune.data.raft.files import lines as objects
from ragd_tune.data.write import RAFT

KEPT = ("passages.jsonl", "questions.jsonl", "teacher.jsonl")


def tables_of(folder: Path) -> dict[str, list[Mapping[str, object]]]:
    """Return the rows of the files that stand beside the data set in ``folder``; none for a file.

    A line that is no JSON object is left out: these files are provenance, and never trained on.
    RAFT's examples are, so there such a line is an error.

    :raises DataError: a line of RAFT's examples is none.
    """
    found: dict[str, list[Mapping[str, object]]] = {}
    for name in KEPT if folder.is_dir() else ():
        path = find(folder, name, Findings())
        if path is not None:
            found[name] = [row for row in map(_row, (t for _, t in lines(path, Findings()))) if row]
    for name in RAFT if folder.is_dir() else ():
        path = find(folder, name, Findings())
        if path is not None:
            found[name] = [row for _, row in objects(path)]
    return found


def _row(text: str) -> Mapping[str, object]:
    try:
        row = json.loads(text)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def teacher_rows(
    teacher: Mapping[str, Mapping[str, float]], by: str
) -> Sequence[Mapping[str, object]]:
    """Return rows of ``teacher.jsonl``: a query's positives and negatives, and who scored them."""
    return [{"query_id": qid, "by": by, "scores": dict(told)} for qid, told in teacher.items()]


def read_teacher(folder: Path) -> dict[str, dict[str, float]]:
    """Return a teacher's scores by query and document of the data set in ``folder``; may be empty.

    Rows that are not of that shape are left out.
    """
    path = find(folder, "teacher.jsonl", Findings())
    scores: dict[str, dict[str, float]] = {}
    for _, text in lines(path, Findings()) if path else ():
        row = _row(text)
        told = row.get("scores")
        if isinstance(told, dict):
            scores[str(row.get("query_id"))] = {did: float(score) for did, score in told.items()}
    return scores
