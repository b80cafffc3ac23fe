"""Rows of pairs: ``query, positive[, negatives]``, triplets, ragd's planned rows, scored pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ragd_tune.data.findings import BadRow, Findings
from ragd_tune.data.model import Document, Query
from ragd_tune.data.parts import SPLIT_NAMES, Parts, scored_pair
from ragd_tune.data.rows import Row, as_id, as_text, json_array, jsonl, parse
from ragd_tune.data.table import table

_LIST_MEND = "write a JSON list of texts, or columns negative_1, negative_2"
_SCORED = ("text1", "sentence1")
_COLUMNS = frozenset(
    ("query", "anchor", "positive", "negative", "negatives", *_SCORED, "text2", "sentence2")
)


@dataclass(frozen=True, slots=True)
class _Passage:
    """A passage of a row: its text, its id where the row gives one, and its source document."""

    text: str
    id: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A row of query, positive and negatives."""

    line: int
    query: str
    query_id: str
    group: str
    split: str
    positive: _Passage
    negatives: tuple[_Passage, ...]


@dataclass(slots=True)
class PairReader:
    """Gathers rows of one or more files, then makes a corpus of their texts.

    A text without an id gets one from its content, so that the same text is the same document in
    every row and any order, and joins the document that has this text under an id of its own.
    """

    findings: Findings
    parts: Parts = field(default_factory=Parts)
    _rows: list[tuple[Path, _Answer]] = field(default_factory=list)
    _by_text: dict[str, str] = field(default_factory=dict)

    def read(self, path: Path, split: str = "") -> None:
        """Read one file; ``split`` is where its rows belong unless they say so themselves."""
        before, errors = len(self._rows) + len(self.parts.scored), self.findings.errors
        for row in _rows_of(path, self.findings):
            try:
                self._take(row, path, split)
            except BadRow as bad:
                self.findings.bad_row(bad, path, row.line)
        empty = len(self._rows) + len(self.parts.scored) == before
        if empty and self.findings.errors == errors:
            mend = "write rows such as query, positive"
            self.findings.error("empty-file", "has no rows", path, 1, mend)

    def _take(self, row: Row, path: Path, split: str) -> None:
        split = _split_of(row, split)
        if row.first(*_SCORED)[0]:
            self.parts.scored.append(scored_pair(row, split or "train"))
            return
        answer = _answer(row, split)
        for passage in (answer.positive, *answer.negatives):
            if passage.id:
                self._document(passage, path, row.line)
        self._rows.append((path, answer))

    def _document(self, passage: _Passage, path: Path, line: int) -> str:
        key = passage.id or self._by_text.get(passage.text) or content_id("d", passage.text)
        old = self.parts.corpus.get(key)
        if old and old.text != passage.text:
            first = self.parts.places.name("corpus", key)
            what = f"the id {key!r} has another text at {first}"
            raise BadRow("duplicate-id", what, "give every passage an id of its own")
        if old and passage.document and old.document not in ("", passage.document):
            what = f"{key!r} comes from {old.document!r} elsewhere and {passage.document!r} here"
            raise BadRow("contradiction", what, "keep one source document a passage")
        source = passage.document or (old.document if old else "")
        self.parts.corpus[key] = Document(id=key, text=passage.text, document=source)
        known = self._by_text.setdefault(passage.text, key)
        if passage.id:
            # The smallest of several ids of one text, so that the order of rows does not matter.
            self._by_text[passage.text] = min(known, key)
        self.parts.places.note("corpus", key, path, line)
        return key

    def finish(self) -> Parts:
        """Join rows into documents, queries, judgements and negatives."""
        answers = []
        for path, answer in self._rows:
            try:
                did = self._document(answer.positive, path, answer.line)
                qid = self._query(answer, path)
            except BadRow as bad:
                self.findings.bad_row(bad, path, answer.line)
                continue
            self._judge(answer, qid, did, path)
            answers.append((path, answer, qid))
        for path, answer, qid in answers:
            self._negatives(answer, qid, path)
        return self.parts

    def _query(self, answer: _Answer, path: Path) -> str:
        qid = answer.query_id or content_id("q", answer.query)
        old = self.parts.queries.get(qid)
        group = answer.group or (old.group if old else "")
        if old and (old.text != answer.query or old.group not in ("", group)):
            first = self.parts.places.name("query", qid)
            what = f"the query {qid!r} differs from that at {first}"
            raise BadRow("duplicate-id", what, "give every query an id, and one group")
        self.parts.queries[qid] = Query(id=qid, text=answer.query, group=group)
        self.parts.places.note("query", qid, path, answer.line)
        return qid

    def _judge(self, answer: _Answer, qid: str, did: str, path: Path) -> None:
        judged = self.parts.qrels.setdefault(answer.split, {}).setdefault(qid, {})
        if did in judged and not answer.negatives:
            what = "repeats an earlier row; counted once"
            self.findings.warning("duplicate-row", what, path, answer.line, "remove the row")
        judged[did] = 1.0
        self.parts.places.note("judgement", qid, path, answer.line)

    def _negatives(self, answer: _Answer, qid: str, path: Path) -> None:
        right = {did for split in self.parts.qrels.values() for did in split.get(qid, ())}
        kept = dict.fromkeys(self.parts.negatives.get(qid, ()))
        for passage in answer.negatives:
            did = self._document(passage, path, answer.line)
            if did in right:
                what = f"a negative of {answer.query[:60]!r} also answers it; left out"
                mend = "remove it from the negatives"
                self.findings.warning("negative-is-relevant", what, path, answer.line, mend)
            else:
                kept[did] = None
        if kept:
            self.parts.negatives[qid] = tuple(kept)
            self.parts.places.note("negatives", qid, path, answer.line)


def content_id(prefix: str, text: str) -> str:
    """Return an id made of the text alone."""
    return prefix + hashlib.sha256(text.encode()).hexdigest()[:16]


def _rows_of(path: Path, findings: Findings) -> Iterator[Row]:
    name = path.name.removesuffix(".gz").lower()
    if name.endswith(".json"):
        return json_array(path, findings)
    if name.endswith((".csv", ".tsv")):
        return table(path, findings, _COLUMNS)
    return jsonl(path, findings)


def _split_of(row: Row, split: str) -> str:
    said = row.optional("split")
    if not said:
        return split
    if said.lower() not in SPLIT_NAMES:
        raise BadRow("unknown-split", f"{said!r} is no split", "write train, dev or test")
    return SPLIT_NAMES[said.lower()]


def _answer(row: Row, split: str) -> _Answer:
    if "_id" in row.values and not row.first("query", "anchor")[0]:
        mend = "give the folder that holds corpus.jsonl, queries.jsonl and qrels/"
        raise BadRow("missing-field", "has no 'query': a part of a BEIR folder", mend)
    query = row.text("query", "anchor")
    positive = _Passage(
        row.text("positive"), row.optional_id("positive_id"), row.optional("source_document")
    )
    return _Answer(
        line=row.line,
        query=query,
        query_id=row.optional_id("query_id"),
        group=row.optional("group"),
        split=split,
        positive=positive,
        negatives=_passages(row),
    )


def _passages(row: Row) -> tuple[_Passage, ...]:
    """Return the negatives of ``negatives``, ``negative`` and ``negative_1``, ``negative_2``."""
    name, value = row.first("negatives", "negative")
    many = _listed(name, value) if name else []
    many += [
        value
        for name, value in row.values.items()
        if name.startswith("negative_") and name[9:].isdigit() and value not in (None, "")
    ]
    return tuple(_passage(value) for value in many)


def _listed(name: str, value: object) -> list[object]:
    if isinstance(value, list):
        return list(value)
    if not isinstance(value, str):
        kind = type(value).__name__
        raise BadRow("wrong-type", f"{name!r} is {kind}, not a list", "write a list of texts")
    if name == "negatives" and value.lstrip().startswith("["):
        # One cell of a CSV file holds a JSON list.
        try:
            made, end = parse(value.strip())
        except BadRow as bad:
            raise BadRow(bad.code, f"the list {name!r} {bad}", _LIST_MEND) from None
        if value.strip()[end:] or not isinstance(made, list):
            raise BadRow("bad-json", f"{name!r} is no JSON list", _LIST_MEND)
        return made
    return [value] if value else []


def _passage(value: object) -> _Passage:
    if not isinstance(value, dict):
        text = as_text("negatives", value)
        found = _Passage(text)
    else:
        given = value.get("id")
        text = as_text("negatives.text", value.get("text"))
        found = _Passage(text, as_id("negatives.id", given) if given is not None else "")
    if not text.strip():
        raise BadRow("empty-text", "a negative is empty", "fill it or remove it")
    return found
