from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.generate.scripted import FAULTS, serving
from tests.mine.conftest import data_of, embed

from ragd_tune import cli
from ragd_tune.data import read, write
from ragd_tune.data.contrast import rows
from ragd_tune.data.llm import Endpoint, Keeper
from ragd_tune.data.mine.writing import passages_in, write_wrong
from ragd_tune.errors import DONE, NOT_INSTALLED, DataError
from ragd_tune.testing.machine import Machine
from ragd_tune.testing.samples import tiny_data

PUMP = "Grease the pump seal with lithium before every winter and check it again in spring."
DATA = data_of(
    {"pump": PUMP, "fan": "The fan turns left."}, {"q": ("When is the seal greased?", "pump")}
)


def keeper(url: str, folder: Path) -> Keeper:
    return Keeper(endpoint=Endpoint(url=url, model="m", pause=0.001, timeout=1.0), folder=folder)


def test_what_a_model_writes_is_kept_unless_it_answers_copies_or_comes_too_close(
    tmp_path: Path,
) -> None:
    wrong = "The fan is never greased, whatever anybody in the workshop may say about it."
    with serving() as server:
        server.wrong = [PUMP, "Too short.", wrong, wrong, "an answering passage of seven words"]
        made = write_wrong(DATA, keeper(server.url, tmp_path), count=5)
    assert made.texts == {"q": (wrong,)}
    assert made.dropped == {
        "unusable": 0,
        "short": 1,
        "duplicate": 2,
        "answers": 1,
        "too-close": 0,
    }
    with serving() as server:
        far = "Nobody ever looked at it, whatever they may say."
        server.wrong = [far, "When is the seal greased? The seal is greased when it is greased."]
        near = write_wrong(
            DATA,
            keeper(server.url, tmp_path / "b"),
            count=2,
            judged=False,
            embed=embed,
            margin=0.95,
        )
    assert near.texts == {"q": (far,)}
    assert near.dropped["too-close"] == 1


def test_the_command_adds_them_for_training_and_to_no_corpus(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tiny_data(queries=16), tmp_path / "asked")
    with serving(faults=FAULTS) as server:
        server.release.set()
        given = ["data", "mine", str(tmp_path / "asked"), str(tmp_path / "out"), "--json"]
        asked = ["--written", "2", "--endpoint", server.url, "--base", str(machine.base)]
        assert cli.run([*given, *asked, "--margin", "1.0", "--offline"]) == DONE
    told = json.loads(capsys.readouterr().out)
    before, data = read(tmp_path / "asked"), read(tmp_path / "out")
    assert data.corpus == before.corpus
    assert told["written"]["kept"] == sum(map(len, data.written.values())) > 0
    assert told["written"]["model"] == "scripted"
    assert not {*data.written} & {*data.qrels["test"]}, "test questions are never looked at"
    made = {str(row["query"]): row for row in rows(data, negatives=2).train}
    for qid in {*data.written} & {*data.qrels["train"]}:
        first = list(data.written[qid])
        assert made[data.queries[qid].text]["negatives"][: len(first)] == first  # type: ignore[index]


def test_a_set_with_written_negatives_is_another_set_and_reads_back(tmp_path: Path) -> None:
    data = tiny_data(queries=8)
    more = data.with_negatives(data.negatives)
    assert more.fingerprint == data.fingerprint
    write(data, tmp_path / "a")
    lines = (tmp_path / "a" / "negatives.jsonl").read_text("utf-8").splitlines()
    first = json.loads(lines[0]) | {"written": ["Nothing of the kind is true."]}
    (tmp_path / "a" / "negatives.jsonl").write_text(
        "\n".join([json.dumps(first), *lines[1:]]) + "\n", encoding="utf-8"
    )
    again = read(tmp_path / "a")
    assert again.written == {first["query_id"]: ("Nothing of the kind is true.",)}
    assert again.fingerprint != data.fingerprint
    assert again.with_qrels(again.qrels).written == again.with_negatives({}).written
    (tmp_path / "a" / "negatives.jsonl").write_text(
        json.dumps(first | {"written": [""]}) + "\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match="no list of texts"):
        read(tmp_path / "a")


def test_without_a_model_nothing_is_mined_in_vain(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["data", "mine", str(machine.data), str(tmp_path / "out"), "--written", "1"]
    asked = ["--endpoint", "http://127.0.0.1:9/v1", "--base", str(machine.base), "--offline"]
    assert cli.run([*given, *asked]) == NOT_INSTALLED
    said = capsys.readouterr().err
    assert "no language model answers" in said
    assert "--generator" not in said  # which this command does not have
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"passages": ["one  two", ""]}', ["one two"]),
        ('["one", 2]', ["one"]),
        ("1. one\n2. two", ["one", "two"]),
        ("no.", None),
    ],
)
def test_passages_are_found_in_what_models_say(said: str, found: list[str] | None) -> None:
    assert passages_in(said) == found
