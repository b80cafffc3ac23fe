"""What an adapter does to another domain is part of its proof, and of the gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.cli import run, train
from ragd_tune.data import DataSet, Document, Query, read, write
from ragd_tune.pipeline import forgetting
from ragd_tune.store import Store
from ragd_tune.testing.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    train._registry.cache_clear()
    return Machine.make(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def looks_elsewhere(monkeypatch: pytest.MonkeyPatch, no_other_domain: None) -> None:
    monkeypatch.delenv("RAGD_TUNE_NO_FORGETTING")


def names(folder: Path, *, queries: int = 60, split: str = "test") -> Path:
    """Write another domain: each query is a word of its document, which any base can tell."""
    count = range(queries)
    data = DataSet.of(
        corpus={f"d{i}": Document(id=f"d{i}", text=f"house{i} garden{i}") for i in count},
        queries={f"q{i}": Query(id=f"q{i}", text=f"house{i}") for i in count},
        qrels={split: {f"q{i}": {f"d{i}": 1.0} for i in count}},
    )
    return write(data, folder)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_another_domain_is_looked_at_recorded_and_told(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = names(tmp_path / "names")
    options = ("--epochs", "5", "--name", "mine", "--other", str(other))
    run(machine.train(*options, "--json"))
    found = told(capsys)["proof"]["elsewhere"]
    assert found["data"] == "names"
    assert found["fingerprint"] == read(other).fingerprint
    assert found["difference"]["queries"] == 60
    store = Store()
    kept = store.records(store.get("mine").id, "proof")[-1].payload["report"]
    assert kept["elsewhere"] == found
    assert "Elsewhere (names)" in kept["sentence"]


def test_a_loss_beyond_the_tolerance_shuts_the_gate_unless_it_is_forced(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(
        machine.train(
            "--tuning", "lora", "--epochs", "5", "--name", "mine", "--no-forgetting", "--json"
        )
    )
    assert told(capsys)["passed"] is True
    other = str(names(tmp_path / "names"))
    asked = ["evaluate", "mine", "--data", str(machine.data), "--other", other, "--json"]
    strict = run([*asked, "--forgetting-tolerance", "0"])
    lost = told(capsys)["proof"]["elsewhere"]["difference"]
    assert lost["high"] < 0, "the adapter was to forget: choose a harsher training"
    assert strict == 3
    assert run(["adapters", "activate", "mine"]) == 3
    assert "it forgets" in capsys.readouterr().err
    assert run(["adapters", "activate", "mine", "--force"]) == 0
    assert run([*asked, "--forgetting-tolerance", "1"]) == 0


def test_the_bases_vectors_are_kept_and_damaged_ones_made_again(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        machine.train(
            "--tuning", "lora", "--epochs", "5", "--name", "mine", "--no-forgetting", "--json"
        )
    )
    first = told(capsys)
    kept = sorted(Store().vectors.folder.iterdir())
    assert len(kept) == 2  # the queries, and one block of documents
    stamps = [path.stat().st_mtime_ns for path in kept]
    kept[0].write_bytes(b"damaged")
    asked = ["evaluate", "mine", "--data", str(machine.data), "--no-forgetting", "--json"]
    run(asked)
    again = told(capsys)
    assert again["proof"]["cells"] == first["proof"]["cells"]
    assert kept[0].stat().st_size > 100
    assert len(stamps) == len(sorted(Store().vectors.folder.iterdir()))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda machine, folder: names(folder, split="dev"), "there is no test split"),
        (lambda machine, folder: machine.data, "holds documents of"),
        (lambda machine, folder: folder / "nowhere", "nowhere"),
    ],
    ids=["no test", "the same documents", "no such folder"],
)
def test_another_domain_that_tells_nothing_is_an_error_where_it_was_named(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path, make: Any, words: str
) -> None:
    other = make(machine, tmp_path / "other")
    assert run(machine.train("--max-steps", "2", "--other", str(other))) in {2, 5}
    assert words in capsys.readouterr().err


def test_the_flags_exclude_each_other(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(machine.train("--other", str(tmp_path), "--no-forgetting")) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_without_the_librarys_sources_a_proof_does_without(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragd_tune.demo import library
    from ragd_tune.errors import NotInstalledError

    def missing() -> Path:
        raise NotInstalledError("the sources are not there")

    monkeypatch.setattr("ragd_tune.demo.dataset.find_library", missing)
    assert library.find_library() is not None
    run(machine.train("--max-steps", "2", "--json"))
    assert told(capsys)["proof"]["elsewhere"] is None


@pytest.mark.slow
def test_by_default_it_is_a_sample_of_pythons_library_that_is_made_once(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    from ragd_tune.demo.elsewhere import LONGEST, QUERIES, name

    run(machine.train("--max-steps", "2", "--name", "mine", "--json"))
    found = told(capsys)["proof"]["elsewhere"]
    assert found["data"] == name()
    assert found["difference"]["queries"] == QUERIES
    assert found["difference"]["clusters"] > 100
    kept = read(Store().datasets / name())
    assert max(len(document.text) for document in kept.corpus.values()) <= LONGEST
    assert kept.fingerprint == found["fingerprint"]


def test_the_share_of_common_documents_is_counted_by_their_texts(tmp_path: Path) -> None:
    one, two = read(names(tmp_path / "a")), read(names(tmp_path / "b", queries=30))
    assert forgetting.shared(one, two) == 1.0
    assert forgetting.shared(two, one) == 0.5
