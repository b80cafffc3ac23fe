"""From passages and questions to a data set, with the place and the origin of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.apart import apart
from ragd_tune.data.generate.even import even
from ragd_tune.data.generate.model import FilterReport, Question
from ragd_tune.data.model import SPLITS, DataSet, Document, Query
from ragd_tune.data.text import bare
from ragd_tune.data.write import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A data set, and the files that stand beside it: places of passages, origins of questions.

    ``notes`` say which questions were left out, and why.
    """

    data: DataSet
    tables: Tables
    notes: tuple[str, ...] = ()


def assemble(
    chunks: Sequence[Chunk],
    questions: Mapping[str, Sequence[Question]],
    report: FilterReport,
    *,
    source: str,
    about: Mapping[str, object],
) -> Assembled:
    """Return the data set of ``questions`` by split, without those that leak or weigh too much.

    ``about`` is added to what ``dataset.json`` says.
    """
    told = {
        **about,
        "generated": [split for split in SPLITS if questions.get(split)],
        "filters": report.to_json(),
        "origins": _origins(questions.values()),
    }
    data, origins = _joined(chunks, questions, source=source, about=told)
    data, leaked = apart(data)
    data, evened = even(data)  # last: sizes count once nothing else is dropped
    told["leaks"] = {"dropped": len(leaked)}
    told["evened"] = {one.split: one.to_json() for one in evened}
    tables: Tables = {
        "passages.jsonl": [chunk.place() for chunk in chunks],
        "questions.jsonl": [one for one in origins if one["_id"] in data.queries],
    }
    notes = tuple(one.told for one in evened)
    return Assembled(data=replace(data, about=told), tables=tables, notes=notes)


def _joined(
    chunks: Sequence[Chunk],
    questions: Mapping[str, Sequence[Question]],
    *,
    source: str,
    about: Mapping[str, object],
) -> tuple[DataSet, list[Mapping[str, object]]]:
    """Return the data set of all questions, and where each comes from.

    Passages of one question all answer it. One that stands on two sides stays on the one that comes
    last in train, dev, test. Those of training keep their rivals as negatives, but for passages of
    documents that dev or test ask about.
    """
    taken: set[str] = set()
    queries: dict[str, Query] = {}
    qrels: dict[str, dict[str, dict[str, float]]] = {}
    negatives: dict[str, tuple[str, ...]] = {}
    origins: list[Mapping[str, object]] = []
    free = _free(chunks, questions)
    for split in reversed(SPLITS):
        rows = _merged(questions.get(split, ()), taken)
        for found in rows.values():
            qid = f"q{len(queries)}"
            queries[qid] = Query(id=qid, text=found[0].text)
            qrels.setdefault(split, {})[qid] = {one.chunk: 1.0 for one in found}
            if split == "train":
                negatives[qid] = _rivals(found, free)
            origins.append({"_id": qid, "split": split, **found[0].to_json()})
        taken |= set(rows)
    data = DataSet.of(
        corpus={chunk.id: _document(chunk) for chunk in chunks},
        queries=queries,
        qrels={split: qrels[split] for split in SPLITS if split in qrels},
        negatives=negatives,
        source=source,
        about=about,
    )
    return data, origins


def _document(chunk: Chunk) -> Document:
    return Document(id=chunk.id, title=chunk.title, text=chunk.text, document=chunk.document)


def _free(chunks: Sequence[Chunk], questions: Mapping[str, Sequence[Question]]) -> set[str]:
    """Return the passages of documents that neither dev nor test asks about."""
    documents = {chunk.id: chunk.document for chunk in chunks}
    held = {documents[one.chunk] for split in ("dev", "test") for one in questions.get(split, ())}
    return {chunk for chunk, document in documents.items() if document not in held}


def _rivals(found: Sequence[Question], free: set[str]) -> tuple[str, ...]:
    """Return the rivals of a question that several passages may answer, each once."""
    answers = {one.chunk for one in found}
    rivals = dict.fromkeys(did for one in found for did in one.against)
    return tuple(did for did in rivals if did in free and did not in answers)


def _merged(questions: Iterable[Question], taken: set[str]) -> dict[str, list[Question]]:
    merged: defaultdict[str, list[Question]] = defaultdict(list)
    for one in questions:
        said = bare(one.text)
        if said not in taken:
            merged[said].append(one)
    return merged


def _origins(questions: Iterable[Sequence[Question]]) -> list[dict[str, object]]:
    """Return generators, models and prompts with the number of questions that each gave."""
    counts: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    for rows in questions:
        for one in rows:
            counts[one.generator, one.model, one.prompt, one.style] += 1
    return [
        {"generator": gen, "model": model, "prompt": prompt, "style": style, "questions": count}
        for (gen, model, prompt, style), count in sorted(counts.items())
    ]
