"""Bad input: one message that names file and line, what is wrong, and how to mend it."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.data import UnusableDataError, read
from ragd_tune.errors import BAD_DATA, DataError

Beir = Callable[..., Path]

DOC = b'{"_id": "d1", "title": "", "text": "one"}\n'
GOOD_QUERY = b'{"_id": "q1", "text": "first query"}\n'
HEAD = b"query-id\tcorpus-id\tscore\n"

# file in a BEIR folder, its content, the code, the line (0: the whole file)
BEIR_CASES: dict[str, tuple[str, bytes, str, int]] = {
    "broken json": ("corpus.jsonl", DOC + b'{"_id": "d2", "text": \n', "bad-json", 2),
    "two values": ("corpus.jsonl", DOC + b'{"_id": "d2", "text": "x"} {}\n', "bad-json", 2),
    "deeply nested": ("corpus.jsonl", DOC + b"[" * 100_000 + b"\n", "bad-json", 2),
    "a huge number": ("corpus.jsonl", DOC + b'{"_id": ' + b"9" * 9_999 + b"}\n", "bad-json", 2),
    "a list": ("corpus.jsonl", DOC + b'["d2", "text"]\n', "not-an-object", 2),
    "a text": ("queries.jsonl", GOOD_QUERY + b'"q2"\n', "not-an-object", 2),
    "null": ("queries.jsonl", b"null\n", "not-an-object", 1),
    "a key twice": (
        "corpus.jsonl",
        b'{"_id": "d1", "text": "a", "text": "b"}\n',
        "duplicate-key",
        1,
    ),
    "NaN": ("corpus.jsonl", b'{"_id": "d1", "text": "a", "x": NaN}\n', "not-a-number", 1),
    "no id": ("corpus.jsonl", b'{"title": "", "text": "a"}\n', "missing-field", 1),
    "no text": ("corpus.jsonl", DOC + b'{"_id": "d2", "title": "a"}\n', "missing-field", 2),
    "text is null": ("corpus.jsonl", b'{"_id": "d1", "text": null}\n', "missing-field", 1),
    "text is a number": ("corpus.jsonl", b'{"_id": "d1", "text": 7}\n', "wrong-type", 1),
    "title is a list": (
        "corpus.jsonl",
        b'{"_id": "d1", "text": "a", "title": []}\n',
        "wrong-type",
        1,
    ),
    "id is a float": ("corpus.jsonl", b'{"_id": 1.5, "text": "a"}\n', "wrong-type", 1),
    "id is a boolean": ("corpus.jsonl", b'{"_id": true, "text": "a"}\n', "wrong-type", 1),
    "id is empty": ("queries.jsonl", b'{"_id": "", "text": "a"}\n', "bad-id", 1),
    "id holds a tab": ("queries.jsonl", b'{"_id": "a\\tb", "text": "a"}\n', "bad-id", 1),
    "id has blanks around": ("queries.jsonl", b'{"_id": " a", "text": "a"}\n', "bad-id", 1),
    "a document twice": ("corpus.jsonl", DOC + b"\n" + DOC, "duplicate-id", 3),
    "a query twice": ("queries.jsonl", GOOD_QUERY * 2, "duplicate-id", 2),
    "an empty query": ("queries.jsonl", b'{"_id": "q1", "text": "  "}\n', "empty-text", 1),
    "an empty answer": (
        "corpus.jsonl",
        b'{"_id": "d1", "title": "", "text": ""}\n{"_id": "d2", "text": "b"}\n'
        b'{"_id": "d3", "text": "c"}\n',
        "empty-text",
        1,
    ),
    "NUL escaped": ("corpus.jsonl", b'{"_id": "d1", "text": "a\\u0000"}\n', "binary-text", 1),
    "NUL raw, later": ("corpus.jsonl", DOC + b'{"_id": "\x00"}\n', "binary-text", 2),
    "half a surrogate": ("corpus.jsonl", b'{"_id": "d1", "text": "\\ud800"}\n', "bad-unicode", 1),
    "latin-1": ("corpus.jsonl", DOC + b'{"_id": "d2", "text": "caf\xe9"}\n', "invalid-utf-8", 2),
    "UTF-16": ("corpus.jsonl", DOC.decode().encode("utf-16"), "utf-16", 1),
    "UTF-16 without a mark": ("queries.jsonl", DOC.decode().encode("utf-16-le"), "utf-16", 1),
    "a zip archive": ("corpus.jsonl", b"PK\x03\x04\x00\x00abcdefghijkl", "binary-file", 1),
    "an empty corpus": ("corpus.jsonl", b"", "empty-file", 0),
    "blank queries": ("queries.jsonl", b"\n  \n", "empty-file", 1),
    "gzip cut short": ("corpus.jsonl", gzip.compress(DOC)[:-12], "damaged-file", 1),
    "gzip with a changed byte": (
        "queries.jsonl",
        gzip.compress(GOOD_QUERY)[:-6] + b"\xff" * 6,
        "damaged-file",
        1,
    ),
    "no header": ("qrels/train.tsv", b"q1\td1\t1\n", "missing-header", 1),
    "blanks, not tabs": ("qrels/train.tsv", HEAD + b"q1 d1 1\n", "bad-row", 2),
    "TREC's four columns": ("qrels/train.tsv", HEAD + b"q1\t0\td1\t1\n", "bad-row", 2),
    "an unknown query": ("qrels/train.tsv", HEAD + b"q9\td1\t1\n", "unknown-queries-id", 2),
    "an unknown document": ("qrels/train.tsv", HEAD + b"q1\td9\t1\n", "unknown-corpus-id", 2),
    "a score in words": ("qrels/train.tsv", HEAD + b"q1\td1\tyes\n", "bad-score", 2),
    "a score of NaN": ("qrels/train.tsv", HEAD + b"q1\td1\tnan\n", "bad-score", 2),
    "an infinite score": ("qrels/train.tsv", HEAD + b"q1\td1\tinf\n", "bad-score", 2),
    "a negative score": ("qrels/train.tsv", HEAD + b"q1\td1\t-1\n", "bad-score", 2),
    "two scores": ("qrels/train.tsv", HEAD + b"q1\td1\t1\nq1\td1\t2\n", "contradiction", 3),
    "negatives of nobody": (
        "negatives.jsonl",
        b'{"query_id": "q9", "negatives": ["d1"]}\n',
        "bad-negatives",
        1,
    ),
    "negatives unknown": (
        "negatives.jsonl",
        b'{"query_id": "q1", "negatives": ["d9"]}\n',
        "unknown-corpus-id",
        1,
    ),
    "negatives no list": (
        "negatives.jsonl",
        b'{"query_id": "q1", "negatives": "d2"}\n',
        "wrong-type",
        1,
    ),
}

PAIR = b'{"query": "a b", "positive": "c d"}\n'
FILE_CASES: dict[str, tuple[str, bytes, str, int]] = {
    "no positive": ("p.jsonl", PAIR + b'{"query": "a"}\n', "missing-field", 2),
    "an empty positive": ("p.jsonl", PAIR + b'{"query": "a", "positive": " "}\n', "empty-text", 2),
    "a negative that is a number": (
        "p.jsonl",
        b'{"query": "a", "positive": "b", "negatives": [3]}\n',
        "wrong-type",
        1,
    ),
    "an empty negative": (
        "p.jsonl",
        b'{"query": "a", "positive": "b", "negatives": [""]}\n',
        "empty-text",
        1,
    ),
    "an id with two texts": (
        "p.jsonl",
        b'{"query": "a", "positive": "b", "positive_id": "1"}\n'
        b'{"query": "c", "positive": "d", "positive_id": "1"}\n',
        "duplicate-id",
        2,
    ),
    "an unknown split": (
        "p.jsonl",
        b'{"query": "a", "positive": "b", "split": "x"}\n',
        "unknown-split",
        1,
    ),
    "half of a BEIR folder": ("corpus.jsonl", DOC, "missing-field", 1),
    "a score above 1": ("p.jsonl", b'{"text1": "a", "text2": "b", "score": 4.5}\n', "bad-score", 1),
    "no score": ("p.jsonl", b'{"text1": "a", "text2": "b"}\n', "bad-score", 1),
    "a score of true": (
        "p.jsonl",
        b'{"text1": "a", "text2": "b", "score": true}\n',
        "bad-score",
        1,
    ),
    "a list that breaks off": (
        "p.json",
        b'[\n{"query": "a", "positive": "b"},\n{"query": "c"',
        "bad-json",
        3,
    ),
    "a list without a comma": (
        "p.json",
        b'[\n{"query": "a", "positive": "b"}\n{"query": "c"}]',
        "bad-json",
        2,
    ),
    "an object, not a list": ("p.json", b'{"query": "a", "positive": "b"}', "not-a-list", 1),
    "a list with a text": (
        "p.json",
        b'[\n{"query": "a", "positive": "b"},\n"x"]',
        "not-an-object",
        3,
    ),
    "no known column": ("p.csv", b"question,answer\na,b\n", "bad-header", 1),
    "no column for the answer": ("p.csv", b"query,answer\na,b\n", "missing-field", 2),
    "a column twice": ("p.csv", b"query,positive,query\na,b,c\n", "bad-header", 1),
    "too many cells": ("p.csv", b'query,positive\n"a\nb",c\na,b,c\n', "bad-row", 4),
    "an open quote": ("p.csv", b'query,positive\na,"b\n', "bad-csv", 2),
    "a list in a cell that breaks off": (
        "p.csv",
        b'query,positive,negatives\na,b,"[""c"","\n',
        "bad-json",
        2,
    ),
    "a list in a cell that is nested too deep": (
        "p.csv",
        b"query,positive,negatives\na,b," + b"[" * 100_000 + b"\n",
        "bad-json",
        2,
    ),
    "a score in words": (
        "p.csv",
        b"text1,text2,score\na,b,high\n",
        "bad-score",
        2,
    ),
    "a query id with two texts": (
        "p.jsonl",
        b'{"query_id": 1, "query": "a", "positive": "b"}\n'
        b'{"query_id": 1, "query": "c", "positive": "b"}\n',
        "duplicate-id",
        2,
    ),
    "a passage from two documents": (
        "p.jsonl",
        b'{"query": "a", "positive": "b", "source_document": "x"}\n'
        b'{"query": "c", "positive": "b", "source_document": "y"}\n',
        "contradiction",
        2,
    ),
    "negatives that are a number": (
        "p.jsonl",
        b'{"query": "a", "positive": "b", "negatives": 3}\n',
        "wrong-type",
        1,
    ),
    "not gzip": ("p.jsonl.gz", PAIR, "not-gzip", 0),
    "an unknown kind of file": ("p.parquet", b"PAR1", "unknown-layout", 0),
    "an empty file": ("p.csv", b"", "empty-file", 0),
    "only a header": ("p.csv", b"query,positive\n", "empty-file", 1),
}


def refused(path: Path) -> UnusableDataError:
    with pytest.raises(DataError) as caught:
        read(path)
    assert isinstance(caught.value, UnusableDataError)
    return caught.value


def assert_names(error: UnusableDataError, file: Path, code: str, line: int) -> None:
    first = error.findings[0]
    assert first.code == code
    place = f"{file}:{line}" if line else str(file)
    assert first.place.startswith(place)
    assert first.place in error.message
    assert error.mend
    assert error.exit_code == BAD_DATA


@pytest.mark.parametrize("case", BEIR_CASES)
def test_a_fault_in_a_beir_folder_is_named_with_file_and_line(case: str, beir: Beir) -> None:
    name, content, code, line = BEIR_CASES[case]
    folder = beir()
    (folder / name).write_bytes(content)
    assert_names(refused(folder), folder / name, code, line)


@pytest.mark.parametrize("case", FILE_CASES)
def test_a_fault_in_a_file_of_rows_is_named_with_file_and_line(case: str, tmp_path: Path) -> None:
    name, content, code, line = FILE_CASES[case]
    (tmp_path / name).write_bytes(content)
    assert_names(refused(tmp_path / name), tmp_path / name, code, line)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_part_is_named(name: str, beir: Beir) -> None:
    folder = beir()
    (folder / name).unlink()
    assert_names(refused(folder), folder / name, "missing-file", 0)


def test_a_folder_without_judgements_is_refused(beir: Beir) -> None:
    folder = beir(qrels={})
    assert_names(refused(folder), folder, "no-judgements", 0)


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    assert_names(refused(tmp_path / "nowhere"), tmp_path / "nowhere", "missing-file", 0)
    assert_names(refused(tmp_path), tmp_path, "unknown-layout", 0)


def test_a_folder_that_may_not_be_looked_into_is_refused(
    beir: Beir, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = beir()

    def closed(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", closed)
    assert_names(refused(folder), folder / "qrels", "unreadable-file", 0)


@pytest.mark.parametrize("name", ["n" * 5000, "a\0b"])
def test_a_name_that_no_disk_can_hold_is_refused(name: str, tmp_path: Path) -> None:
    assert_names(refused(tmp_path / name), tmp_path / name, "unreadable-file", 0)


def test_a_second_dev_split_is_refused_and_an_unknown_one_told(beir: Beir) -> None:
    folder = beir()
    judged = (folder / "qrels" / "dev.tsv").read_bytes()
    (folder / "qrels" / "extra.tsv").write_bytes(judged)
    assert [note.code for note in read(folder).notes] == ["unknown-split"]
    (folder / "qrels" / "valid.tsv").write_bytes(judged)
    assert_names(refused(folder), folder / "qrels" / "valid.tsv", "two-files", 0)


def test_a_damaged_dataset_json_is_told_and_left_out(beir: Beir) -> None:
    folder = beir()
    (folder / "dataset.json").write_text("{", encoding="utf-8")
    data = read(folder)
    assert data.about == {}
    assert [note.code for note in data.notes] == ["bad-dataset-json"]


def test_a_file_and_its_packed_twin_are_refused(beir: Beir) -> None:
    folder = beir()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(DOC))
    assert_names(refused(folder), folder / "corpus.jsonl", "two-files", 0)


def test_a_line_that_is_too_long_is_not_loaded(beir: Beir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragd_tune.data.lines.MAX_LINE", 2**20)
    folder = beir()
    with gzip.open(folder / "corpus.jsonl.gz", "wb") as file:
        file.write(DOC + b"x" * 2**22)
    (folder / "corpus.jsonl").unlink()
    assert_names(refused(folder), folder / "corpus.jsonl.gz", "oversized-line", 2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_refused_without_waiting_for_a_writer(beir: Beir) -> None:
    folder = beir()
    (folder / "corpus.jsonl").unlink()
    os.mkfifo(folder / "corpus.jsonl")
    assert_names(refused(folder), folder / "corpus.jsonl", "not-a-file", 0)


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
def test_links_in_a_circle_and_into_nothing_are_refused(beir: Beir) -> None:
    folder = beir()
    for name, to, code in (
        ("corpus.jsonl", "corpus.jsonl", "unreadable-file"),
        ("queries.jsonl", "gone", "missing-file"),
    ):
        (folder / name).unlink()
        (folder / name).symlink_to(to)
        found = {finding.file: finding.code for finding in refused(folder).findings}
        assert found[str(folder / name)] == code


def test_many_faults_are_listed_up_to_a_number_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(b"nonsense\n" * 500 + b'{"query": 1}\n')
    error = refused(file)
    assert error.total == 501
    assert "and 481 more" in error.message
    assert error.message.count("nonsense") == 0
    assert error.to_json()["total"] == 501
    assert {finding.code for finding in error.findings} == {"bad-json", "wrong-type"}


def test_a_duplicate_names_the_first_place_too(beir: Beir) -> None:
    folder = beir()
    (folder / "corpus.jsonl").write_bytes(DOC + DOC)
    assert f"{folder / 'corpus.jsonl'}:1" in refused(folder).message
