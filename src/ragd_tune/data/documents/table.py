"""JSONL: each row is a document that is one passage already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ragd_tune.data.documents.model import Block, Source, UnreadableError, tidy
from ragd_tune.data.findings import BadRow, Findings
from ragd_tune.data.rows import Row, jsonl

_TEXTS = ("text", "content", "body", "document", "passage")


def read_rows(name: str, path: Path) -> Iterator[Source]:
    """Yield the rows of a JSONL file: ``text``, and optionally ``_id``, ``title``, ``document``.

    Rows without a text are left out.

    :raises UnreadableError: the file is not JSONL; names the line.
    """
    findings = Findings()
    stem = name.removesuffix(".gz").rsplit(".", 1)[0]
    for row in jsonl(path, findings):
        made = _source(row, stem)
        if made is not None:
            yield made
        _stop_at(findings)
    _stop_at(findings)


def _stop_at(findings: Findings) -> None:
    if findings.errors:
        first = findings.sorted()[0]
        raise UnreadableError(f"line {first.line}: {first.message}")


def _source(row: Row, stem: str) -> Source | None:
    try:
        key, _ = row.first(*_TEXTS)
        text = tidy(row.text(*_TEXTS)).strip()
        identity = row.optional_id("_id", "id") or f"{stem}:{row.line}"
        title, origin = row.optional("title"), row.optional("document") if key != "document" else ""
    except BadRow:
        return None
    block = Block(text=text, start=0, end=len(text))
    return Source(id=identity, title=title, text=text, blocks=(block,), whole=True, origin=origin)
