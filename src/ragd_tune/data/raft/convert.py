"""From RAFT's reference formats to a data set, and examples dealt to the splits of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragd_tune.data.model import SPLITS, DataSet, Document, Query
from ragd_tune.data.raft.example import Example, key
from ragd_tune.data.raft.files import broken_rule, row_of
from ragd_tune.data.raft.formats import read_format
from ragd_tune.errors import DataError

UNFOUND = "no document holds what the answer quotes"
TWICE = "a question that was there before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A data set, all of it for training, with its examples; ``dropped`` counts rows by reason."""

    data: DataSet
    examples: list[Example]
    dropped: Mapping[str, int]


@dataclass(slots=True)
class _Texts:
    """Texts by number: the same text has one id."""

    ids: dict[str, str] = field(default_factory=dict)

    def id(self, text: str) -> str:
        return self.ids.setdefault(text, f"d{len(self.ids) + 1}")


def from_reference(path: Path) -> Taken:
    """Return what a file of RAFT's reference formats holds.

    The documents become the corpus, the oracle what answers a question, the other documents its
    negatives. The formats ``completion`` and ``chat`` do not say which document is the oracle: it
    is the one that the answer quotes, and a row without one is left out.

    :raises DataError: a line is of none of the formats, or no row can be used.
    """
    texts, dropped = _Texts(), Counter[str]()
    examples: dict[str, Example] = {}
    negatives: dict[str, tuple[str, ...]] = {}
    for one, _ in read_format(path):
        others = tuple(texts.id(text) for text in one.distractors)
        wrong = (not one.oracle and UNFOUND) or broken_rule(one)
        if wrong or key(one.question) in examples:
            dropped[wrong or TWICE] += 1
            continue
        ids = tuple(texts.id(text) for text in one.oracle)
        examples[key(one.question)] = replace(one, oracle_ids=ids, distractors=())
        negatives[key(one.question)] = tuple(dict.fromkeys(others))
    if not examples:
        raise DataError(f"{path}: none of {dropped.total()} rows can be used: {dict(dropped)}")
    data = _data_set(path, texts, examples, negatives)
    return Taken(data=data, examples=list(examples.values()), dropped=dict(dropped))


def _data_set(
    path: Path,
    texts: _Texts,
    examples: Mapping[str, Example],
    negatives: Mapping[str, tuple[str, ...]],
) -> DataSet:
    ids = {question: f"q{number}" for number, question in enumerate(examples, 1)}
    return DataSet.of(
        corpus={did: Document(id=did, text=text) for text, did in texts.ids.items()},
        queries={qid: Query(id=qid, text=question) for question, qid in ids.items()},
        qrels={
            "train": {ids[q]: dict.fromkeys(one.oracle_ids, 1.0) for q, one in examples.items()}
        },
        negatives={ids[question]: some for question, some in negatives.items() if some},
        source=path,
        about={"source": f"RAFT's reference format: {path.name}"},
    )


def dealt(examples: Iterable[Example], data: DataSet) -> dict[str, list[Mapping[str, object]]]:
    """Return the rows of ``raft_{train,dev,test}.jsonl``: each example where its question is."""
    side = {
        key(data.queries[qid].text): split for split in SPLITS for qid in data.qrels.get(split, {})
    }
    rows: dict[str, list[Mapping[str, object]]] = {}
    for one in examples:
        split = side.get(key(one.question))
        if split:
            rows.setdefault(f"raft_{split}.jsonl", []).append(row_of(one))
    return rows
