"""Rows of CSV and TSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from ragd_tune.data.findings import Findings
from ragd_tune.data.lines import decode, raw_lines
from ragd_tune.data.rows import Row


def table(path: Path, findings: Findings, known: frozenset[str]) -> Iterator[Row]:
    """Yield the rows of a CSV or TSV file; its first line names the columns.

    The delimiter is the one of tab, comma, semicolon that makes most columns of ``known`` names.
    """
    texts = (
        decode(raw, path, number, findings) or "\n" for number, raw in raw_lines(path, findings)
    )
    content = list(texts)
    if not content:
        return
    delimiter = max("\t,;", key=lambda mark: len(known & set(_split(content[0], mark))))
    names = _split(content[0], delimiter)
    if not known & set(names) or len(set(names)) != len(names):
        why = "names a column twice" if known & set(names) else "names no column that is known here"
        mend = f"start the file with a line such as query{delimiter}positive"
        findings.error("bad-header", f"the first line {why}: {names[:8]}", path, 1, mend)
        return
    yield from _records(content[1:], delimiter, names, path, findings)


def _split(line: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [name.strip() for name in names]


def _records(
    texts: list[str],
    delimiter: str,
    names: list[str],
    path: Path,
    findings: Findings,
) -> Iterator[Row]:
    start = 2
    reader = csv.reader(texts, delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(2**31 - 1)
    try:
        for cells in reader:
            if len(cells) == len(names):
                yield Row(start, dict(zip(names, cells, strict=True)))
            elif cells:
                what = f"has {len(cells)} cells; the first line names {len(names)}"
                findings.error("bad-row", what, path, start, 'put quotes (") around commas')
            start = reader.line_num + 2
    except csv.Error as error:
        mend = 'close every quote, and double those inside a cell ("")'
        findings.error("bad-csv", f"is not valid CSV: {error}", path, start, mend)
    finally:
        csv.field_size_limit(limit)
