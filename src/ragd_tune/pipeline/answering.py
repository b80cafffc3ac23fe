"""Answers for RAFT: a language model answers a data set's questions from their own passages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragd_tune.data import DataSet, read, write
from ragd_tune.data.generate.answer_made import Answered, Asked, answer_by_model
from ragd_tune.data.generate.answers import prompt_id
from ragd_tune.data.mine import Mining, mine
from ragd_tune.data.mine.tables import tables_of
from ragd_tune.data.model import SPLITS
from ragd_tune.data.raft import Example
from ragd_tune.data.raft.files import row_of
from ragd_tune.data.write import must_be_free
from ragd_tune.errors import DataError
from ragd_tune.pipeline.asking import Asking, connect, keeper_of
from ragd_tune.pipeline.workshop import Workshop

ORACLES = 3
"""Passages that an answer may come from, the most relevant first."""
DISTRACTORS = 8
"""Mined a question: RAFT shows five documents, and draws where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredSet:
    """The data set with its examples, as it was written, and the counts.

    ``counts`` are the examples of each split; ``notes`` say what was not done, and why.
    """

    data: DataSet
    answered: Answered
    counts: Mapping[str, int]
    model: str
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, object]:
        """Return what ``--json`` shows."""
        return {
            "out": str(self.data.source),
            "model": self.model,
            "examples": dict(self.counts),
            "dropped": dict(self.answered.dropped),
            "notes": list(self.notes),
            "asked": self.answered.outcome.to_json(),
        }


def answer_data(
    shop: Workshop,
    path: Path,
    out: Path,
    asking: Asking,
    *,
    seed: int = 0,
    force: bool = False,
) -> AnsweredSet:
    """Let a model answer the questions of the data set at ``path``, and write it anew to ``out``.

    Distractors are the data's own negatives; where it has none they are mined by BM25. What is
    answered is kept under the store's ``runs/asking`` and not asked again.

    :raises UsageError: ``out`` is there already, or the endpoint is on another machine.
    :raises DataError: there are no questions, or no usable answer came.
    :raises NotInstalledError: nothing answers there, or bm25s is not here.
    :raises EndpointError: it refuses, or is gone in the middle.
    """
    must_be_free(out, force)
    data = read(path)
    questions, side = _questions(data)
    # Questions want variety, answers want the words that stand there.
    endpoint = connect(replace(asking, temperature=0.0), seed=seed)
    answered = answer_by_model(
        questions,
        keeper_of(shop, endpoint, asking),
        judged=asking.judged,
    )
    if not answered.examples:
        raise DataError(
            f"{endpoint.model} gave no usable answer to {len(questions)} questions "
            f"({_told(answered.dropped)})",
            mend="take a larger model",
        )
    if not data.negatives:
        data = _with_distractors(shop, data)
    counts = Counter(side[qid] for qid in answered.examples)
    raft = {
        "model": endpoint.model,
        "prompt": prompt_id(),
        "judged": asking.judged,
        "examples": dict(counts),
        "dropped": dict(answered.dropped),
    }
    tables = {**tables_of(path), **_tables(answered.examples, side)}
    write(_told_of(data, raft), out, force=force, tables=tables)
    return AnsweredSet(
        data=read(out),
        answered=answered,
        counts={split: counts[split] for split in SPLITS if counts[split]},
        model=endpoint.model,
        notes=tuple(_notes(answered, len(questions))),
    )


def _told_of(data: DataSet, raft: Mapping[str, object]) -> DataSet:
    """Return ``data`` with where its examples come from; what is worked out anew is left out."""
    own = {key: value for key, value in data.about.items() if key not in ("fingerprint", "parts")}
    return replace(data, about={**own, "raft": raft})


def _questions(data: DataSet) -> tuple[dict[str, Asked], dict[str, str]]:
    """Return each judged question with its passages, and its split."""
    asked: dict[str, Asked] = {}
    side: dict[str, str] = {}
    for split in SPLITS:
        for qid, judged in data.qrels.get(split, {}).items():
            best = sorted(judged, key=lambda did: -judged[did])[:ORACLES]
            oracle = {did: data.corpus[did].passage for did in best if judged[did] > 0}
            if oracle and qid not in asked:
                asked[qid] = Asked(question=data.queries[qid].text, oracle=oracle)
                side[qid] = split
    if not asked:
        raise DataError(f"{data.source}: there are no questions with a passage that answers them")
    return asked, side


def _with_distractors(shop: Workshop, data: DataSet) -> DataSet:
    by = Mining(per_query=DISTRACTORS, retrievers=("bm25",))
    if not any(data.qrels.get(split) for split in by.splits):
        return data
    mined = mine(data, by, shop.store.runs / "mining", progress=shop.progress)
    return data.with_negatives(mined.negatives)


def _tables(
    examples: Mapping[str, Example], side: Mapping[str, str]
) -> dict[str, list[Mapping[str, object]]]:
    rows: dict[str, list[Mapping[str, object]]] = {}
    for qid, example in examples.items():
        rows.setdefault(f"raft_{side[qid]}.jsonl", []).append(row_of(example))
    return rows


def _notes(answered: Answered, questions: int) -> list[str]:
    told, notes = answered.outcome, []
    if told.stopped:
        notes.append(f"{told.stopped}: {told.asked + told.known} of {questions} were asked")
    if told.failed:
        notes.append(f"{len(told.failed)} requests failed; the same command asks them again")
    return notes


def _told(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in dropped.items() if count) or "none came"
