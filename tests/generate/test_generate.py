from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from ragd_tune import cli
from ragd_tune.data import read
from ragd_tune.data.leaks import leaks
from ragd_tune.errors import DONE, USAGE
from ragd_tune.testing.machine import Machine

HEADINGS = ("--generator", "headings")


@pytest.fixture
def made(machine: Machine, folder: Path, tmp_path: Path) -> Path:
    out = tmp_path / "made"
    given = [
        "data",
        "generate",
        str(folder),
        "--out",
        str(out),
        *HEADINGS,
        "--base",
        str(machine.base),
    ]
    assert cli.run([*given, "--test", "0.3", "--offline"]) == DONE
    return out


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_documents_become_a_data_set_that_reads_back(made: Path) -> None:
    data = read(made)
    assert set(data.qrels) == {"train", "dev", "test"}
    assert len(data.qrels["train"]) > 15
    assert not data.notes


def test_no_document_is_on_two_sides_and_no_question_leaks(made: Path) -> None:
    data = read(made)
    on: dict[str, set[str]] = {}
    for split, judged in data.qrels.items():
        for found in judged.values():
            for did in found:
                on.setdefault(data.corpus[did].document, set()).add(split)
    assert all(len(sides) == 1 for sides in on.values())
    assert leaks(data) == ()


def test_every_question_says_where_it_came_from_and_every_passage_where_it_stands(
    made: Path, folder: Path
) -> None:
    data = read(made)
    origins = {str(row["_id"]): row for row in rows(made / "questions.jsonl")}
    assert set(origins) == set(data.queries)
    for qid, row in origins.items():
        assert row["text"] == data.queries[qid].text
        assert row["generator"] == "headings"
        assert row["style"]
        assert row["chunk"] in data.qrels[str(row["split"])][qid]
    places = {str(row["_id"]): row for row in rows(made / "passages.jsonl")}
    assert set(places) == set(data.corpus)
    some = places["gout.md#1"]
    text = (folder / "gout.md").read_text(encoding="utf-8")
    start, end = some["start"], some["end"]
    assert isinstance(start, int)
    assert isinstance(end, int)
    assert text[start:end].startswith("The symptoms are")
    assert some["headings"] == ["Gout"]


def test_dataset_json_says_how_it_was_made_and_what_was_dropped(made: Path) -> None:
    about = json.loads((made / "dataset.json").read_text(encoding="utf-8"))
    assert about["generated"] == ["train", "dev", "test"]
    assert about["generator"]["name"] == "headings"
    assert about["split"] == {"by": "document", "dev": 0.1, "seed": 0, "test": 0.3}
    told = about["filters"]["filters"]
    assert {"length", "quotes", "round-trip"} <= set(told)
    assert all({"seen", "dropped", "examples"} <= set(one) for one in told.values())
    assert sum(one["questions"] for one in about["origins"]) >= len(read(made).queries)


def test_the_round_trip_never_touches_what_is_proven_on(made: Path) -> None:
    about = json.loads((made / "dataset.json").read_text(encoding="utf-8"))
    asked = about["filters"]["filters"]["round-trip"]["seen"]
    training = sum(1 for row in rows(made / "questions.jsonl") if row["split"] == "train")
    kept = about["filters"]["kept"]
    others = sum(kept.values()) - (asked - about["filters"]["filters"]["round-trip"]["dropped"])
    assert asked >= training
    assert others >= sum(1 for row in rows(made / "questions.jsonl") if row["split"] != "train")


def test_the_same_command_makes_the_same_bytes(
    made: Path, machine: Machine, folder: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    given = [
        "data",
        "generate",
        str(folder),
        "--out",
        str(again),
        *HEADINGS,
        "--base",
        str(machine.base),
    ]
    assert cli.run([*given, "--test", "0.3", "--offline"]) == DONE
    for path in made.rglob("*.*"):
        assert path.read_bytes() == (again / path.relative_to(made)).read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="such names are POSIX's")
@pytest.mark.parametrize(
    "name", [b"\xdcbung.md", "\U0001f469\u200d\U0001f52c.md".encode(), b"\a.md"]
)
def test_a_file_of_any_name_is_asked_about(
    machine: Machine, folder: Path, tmp_path: Path, name: bytes
) -> None:
    try:
        (folder / "gout.md").rename(folder / os.fsdecode(name))
    except OSError:
        pytest.skip("this disk refuses the name")
    out = tmp_path / "made"
    given = ["data", "generate", str(folder), "--out", str(out), *HEADINGS]
    assert cli.run([*given, "--base", str(machine.base), "--offline"]) == DONE
    data = read(out)
    (document,) = {doc.document for doc in data.corpus.values() if "uric" in doc.text}
    assert document.isprintable()
    assert document.endswith(".md")


def test_the_folder_that_one_is_in_is_called_by_its_name(
    machine: Machine, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    given = ["data", "generate", ".", "--base", str(machine.base), "--offline", *HEADINGS]
    assert cli.run(given) == DONE
    (out,) = (machine.home / "datasets").iterdir()
    assert out.name == folder.name
    assert json.loads((out / "dataset.json").read_text("utf-8"))["source"] == folder.name


def test_what_is_there_is_not_replaced_unless_asked(
    made: Path, machine: Machine, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        "data",
        "generate",
        str(folder),
        "--out",
        str(made),
        *HEADINGS,
        "--base",
        str(machine.base),
    ]
    assert cli.run(given) == USAGE
    assert "--force" in capsys.readouterr().err
    assert cli.run([*given, "--force", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["out"] == str(made)


def test_without_a_base_model_it_goes_on_and_says_so(
    machine: Machine, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    given = [
        "data",
        "generate",
        str(folder),
        "--out",
        str(out),
        *HEADINGS,
        "--base",
        "no-such-model",
    ]
    assert cli.run([*given, "--offline", "--json"]) == DONE
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("guessed" in note for note in notes)
    assert any("no round trip" in note for note in notes)


def test_a_proof_on_generated_questions_says_so_wherever_it_is_shown(
    made: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--base", str(machine.base), "--backend", "fake", "--epochs", "1"]
    cli.run(["train", "bi-encoder", "--data", str(made), "--name", "own", *given])
    assert "on generated questions" in capsys.readouterr().out.lower()
    cli.run(["evaluate", "own", "--data", str(made), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["questions"] == "generated questions"
    assert told["proof"]["sentence"].startswith("On generated questions: ")
    cli.run(["adapters", "show", "own"])
    told = capsys.readouterr().out.lower()
    assert "generated questions" in told
    assert re.search(r"trained by +fake", told)
