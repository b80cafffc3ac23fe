from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragd_tune.cli import run
from ragd_tune.data import DataSet, Document, Query, UnusableDataError, read, write
from ragd_tune.data.raft import Example, answered, quotes_of, read_format
from ragd_tune.data.raft.convert import dealt

SUBJECTS = ("bell", "river", "engine", "candle", "harbour", "violin", "glacier", "orchard")
MAKERS = ("Ada", "Brook", "Cyrus", "Dora", "Emil", "Freya", "Gus", "Hana")


def example(at: int) -> Example:
    subject, maker = SUBJECTS[at], MAKERS[at]
    text = f"Long ago the {subject} of {maker}'s street was painted in colour number {at}{at}{at}."
    return Example(
        question=f"Which colour has the {subject} near {maker}?",
        answer=f"{at}{at}{at}",
        oracle=(text,),
        oracle_ids=(f"p{at}",),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data set of eight questions, all of them for training."""
    made = [example(at) for at in range(len(SUBJECTS))]
    data = DataSet.of(
        corpus={
            one.oracle_ids[0]: Document(id=one.oracle_ids[0], text=one.oracle[0]) for one in made
        },
        queries={f"q{at}": Query(id=f"q{at}", text=one.question) for at, one in enumerate(made)},
        qrels={"train": {f"q{at}": {one.oracle_ids[0]: 1.0} for at, one in enumerate(made)}},
        source=tmp_path,
    )
    return write(data, tmp_path / "set", tables=dealt(made, data))


def convert(*arguments: object) -> int:
    return run(["data", "convert", *map(str, arguments)])


@pytest.mark.parametrize("form", ["hf", "completion", "chat"])
def test_a_data_set_goes_into_a_reference_format_and_back(
    folder: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "rows.jsonl", tmp_path / "back"
    assert convert(folder, file, "--to", form, "--oracle-share", 1, "--distractors", 3) == 0
    assert {len(context.documents) for _, context in read_format(file)} == {4}
    assert convert(file, out, "--dev", 0, "--test", 0.25) == 0
    assert f"next:  ragd-tune train raft --data {out}" in capsys.readouterr().out
    data = read(out)
    assert {name: len(some) for name, some in data.qrels.items()} == {"train": 6, "test": 2}
    back = {**answered(data, "train"), **answered(data, "test")}
    wanted = {example(at).question: example(at) for at in range(len(SUBJECTS))}
    assert {one.question for one in back.values()} == set(wanted)
    for qid, one in back.items():
        assert (one.answer, one.oracle) == (
            wanted[one.question].answer,
            wanted[one.question].oracle,
        )
        assert list(one.oracle_ids) == list({**data.qrels["train"], **data.qrels["test"]}[qid])
        assert len(data.negatives[qid]) == 3
        assert not set(data.negatives[qid]) & set(one.oracle_ids)


def test_rows_that_cannot_be_used_are_counted_by_reason(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    convert(folder, file, "--to", "chat", "--oracle-share", 1)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    (quote,) = quotes_of(rows[1]["messages"][1]["content"])
    rows[1]["messages"][1]["content"] = f"##begin_quote##not {quote}##end_quote## <ANSWER>: 1"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    assert convert(file, tmp_path / "back", "--dev", 0, "--test", 0) == 0
    told = capsys.readouterr().out
    assert "left out: 1 rows: no document holds what the answer quotes" in told
    assert "left out: 1 rows: a question that was there before" in told
    assert "examples 7 train" in told


def test_what_is_there_stays_and_what_cannot_be_converted_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("mine")
    assert convert(folder, file, "--to", "hf") == 2
    assert file.read_text() == "mine"
    assert convert(folder, tmp_path / "x.jsonl", "--to", "hf", "--split", "dev") == 5
    assert convert(folder, tmp_path / "back") == 2
    assert "--to hf, completion or chat" in capsys.readouterr().err
    assert not (tmp_path / "x.jsonl").exists()
    assert convert(folder, file, "--to", "hf", "--force") == 0
    with pytest.raises(UnusableDataError, match="data convert FILE OUT"):
        read(file)


def test_a_new_split_takes_the_examples_along(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    assert run(["data", "split", str(folder), str(out), "--dev", "0", "--test", "0.25"]) == 0
    data = read(out)
    for side, count in (("train", 6), ("test", 2)):
        assert answered(data, side).keys() == data.qrels[side].keys()
        assert len(answered(data, side)) == count
