from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune import cli
from ragd_tune.data import DataSet, Document, Query, write
from ragd_tune.errors import BAD_DATA, DONE, NOT_INSTALLED, NOT_PROVEN
from ragd_tune.evaluate.significance import paired
from ragd_tune.store import Store
from ragd_tune.testing.machine import Machine
from ragd_tune.testing.samples import WORDS


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("RAGD_TUNE_LEARNING_RATE", "0.02")
    return Machine.make(tmp_path, monkeypatch)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Pages whose headings say in another language what stands below: something to learn."""
    root = tmp_path / "pages"
    root.mkdir()
    draw = random.Random(0)
    for number in range(160):
        words = draw.sample(WORDS[:24], 4)
        heading = " ".join(f"{word}o" for word in words[:3])
        text = f"# {heading}\n\n{' '.join(words)}\n"
        (root / f"page{number}.md").write_text(text, encoding="utf-8")
    return root


def fewer(documents: Path, count: int) -> Path:
    """Leave only ``count`` of the pages."""
    for page in sorted(documents.iterdir())[count:]:
        page.unlink()
    return documents


def command(machine: Machine, documents: Path, *more: str) -> list[str]:
    given = ["auto", str(documents), "--base", str(machine.base), "--backend", "fake"]
    nowhere = ["--endpoint", "http://127.0.0.1:9/v1"]
    return [*given, *nowhere, "--offline", "--name", "own", *more]


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


def test_one_command_goes_from_documents_to_a_proof_that_can_be_worked_out_again(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(command(machine, documents, "--json"))
    done = told(capsys)
    assert code in (DONE, NOT_PROVEN)
    assert done["questions_by"].endswith("without a language model")
    rows = done["proof"]["queries"]
    gains = np.array([row["after"] - row["before"] for row in rows])
    again = paired(gains, [row["cluster"] for row in rows], seed=done["proof"]["seed"])
    assert again.proven == done["passed"] == (code == DONE) == done["activated"]
    active = Store(machine.home).active("embedder")
    assert (active is not None and active.id == done["adapter"]["id"]) == done["activated"]


def test_what_is_published_is_what_the_verdict_was_made_of(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(command(machine, documents, "--generator", "headings", "--json"))
    done = told(capsys)
    proof, folder = done["proof"], Path(done["data"]["out"])
    gains = [row["after"] - row["before"] for row in proof["queries"]]
    names = ("part", "metric", "dims")
    wanted = ["all", proof["gate_metric"], proof["gate_dims"]]
    (gate,) = [cell for cell in proof["cells"] if [cell[name] for name in names] == wanted]
    assert gate["difference"]["mean"] == pytest.approx(np.mean(gains))
    judged = (folder / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]
    asked = {line.split("\t")[0] for line in judged}
    assert {row["id"] for row in proof["queries"]} == asked


@pytest.mark.parametrize("more", [(), ("--no-forgetting",)])
def test_another_domain_is_looked_at_unless_that_is_not_wanted(
    machine: Machine,
    documents: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
) -> None:
    monkeypatch.delenv("RAGD_TUNE_NO_FORGETTING")
    count = range(60)
    other = DataSet.of(
        corpus={f"d{i}": Document(id=f"d{i}", text=f"house{i} garden{i}") for i in count},
        queries={f"q{i}": Query(id=f"q{i}", text=f"house{i}") for i in count},
        qrels={"test": {f"q{i}": {f"d{i}": 1.0} for i in count}},
    )
    elsewhere = more or ("--other", str(write(other, tmp_path / "other")))
    cli.run(command(machine, documents, "--generator", "headings", *elsewhere, "--json"))
    looked = told(capsys)["proof"]["elsewhere"]
    assert looked is None if more else looked["difference"]["queries"] == 60


def test_where_few_documents_are_held_back_more_are(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = fewer(documents, 60)
    cli.run(command(machine, few, "--generator", "headings", "--no-activate", "--json"))
    done = told(capsys)
    assert "50% of the passages were held back to judge by" in done["notes"]
    assert len({row["cluster"] for row in done["proof"]["queries"]}) >= 20


def test_where_no_gain_can_be_proven_it_is_said_before_the_training(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = fewer(documents, 24)
    assert cli.run(command(machine, few, "--generator", "headings")) == NOT_PROVEN
    out, said = capsys.readouterr()
    assert "nothing that serves was changed\nrefused: the queries fall into" in out
    assert "no gain can be proven with so few" in said
    assert said.index("no gain can be proven") < said.index("training")


def test_one_document_ends_it_before_it_is_trained_on(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join(page.read_text("utf-8") for page in sorted(documents.iterdir())[:12])
    (fewer(documents, 0) / "all.md").write_text(text, encoding="utf-8")
    assert cli.run(command(machine, documents, "--generator", "headings")) == BAD_DATA
    said = capsys.readouterr().err
    assert "no document is held back to judge by" in said
    assert "ragd-tune train bi-encoder --data" in said
    assert not list(machine.home.glob("runs/*/plan.json"))


def test_what_is_shown_says_generated_questions_and_who_asked(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(command(machine, documents))
    out, err = capsys.readouterr()
    assert "no language model answers" in err
    assert "generated questions" in out.lower()
    assert "without a language model" in out


def test_a_language_model_that_was_asked_for_and_is_not_there_is_an_error(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(command(machine, documents, "--generator", "llm")) == NOT_INSTALLED
    assert "--generator headings" in capsys.readouterr().err


def test_nothing_serves_where_that_was_not_wanted(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(command(machine, documents, "--no-activate", "--generator", "headings", "--json"))
    assert told(capsys)["activated"] is False
    assert Store(machine.home).active("embedder") is None


def test_where_ragd_is_set_up_it_is_asked_before_it_changes(
    machine: Machine,
    documents: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / ".ragd" / "config.yaml"
    config.parent.mkdir()
    config.write_text(
        f"embedding: {{model: {machine.base}, dimension: 16}}\n"
        f"storage: {{data_dir: {config.parent}}}\n"
    )
    before = config.read_bytes()
    monkeypatch.setenv("RAGD_TUNE_LEARNING_RATE", "0.01")
    monkeypatch.setenv("RAGD_TUNE_EPOCHS", "4")
    asked = command(machine, documents, "--generator", "headings", "--tuning", "full")
    assert cli.run(asked) == DONE
    assert "let ragd use it: ragd-tune adapters activate" in capsys.readouterr().out
    assert config.read_bytes() == before
    assert Store(machine.home).active("embedder") is None
    assert cli.run([*asked, "--yes", "--json"]) == DONE
    done = told(capsys)
    assert done["activated"]
    assert done["adapter"]["id"].encode() in config.read_bytes()


def test_the_same_command_again_makes_the_same_adapter(
    machine: Machine, documents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = []
    for _ in range(2):
        cli.run(command(machine, documents, "--generator", "headings", "--json"))
        ids.append(told(capsys)["adapter"]["id"])
    assert ids[0] == ids[1]
