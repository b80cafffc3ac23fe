"""A data set of people and where they live, with answers."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragd_tune.cli import run
from ragd_tune.data import DataSet, Document, Query, write
from ragd_tune.data.raft import Example, write_examples
from ragd_tune.pipeline.planning import Planned, Request, plan
from ragd_tune.pipeline.training import Trained, commit
from ragd_tune.pipeline.workshop import Workshop, workshop
from ragd_tune.store import Store
from ragd_tune.testing.tiny_lm import tiny_lm


def make(folder: Path, *, people: int = 48) -> DataSet:
    """Return a data set whose answers lie in files of ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus, queries = {}, {}
    qrels: dict[str, dict[str, dict[str, float]]] = {"train": {}, "dev": {}, "test": {}}
    examples: dict[str, list[Example]] = {split: [] for split in qrels}
    for number in range(people):
        qid, did, split = f"q{number}", f"d{number}", ("train", "dev", "train", "test")[number % 4]
        text = f"Person{number} likes tea. Person{number} lives in town{number}."
        corpus[did] = Document(id=did, text=text, document=f"source{number}")
        queries[qid] = Query(id=qid, text=f"Where does Person{number} live?")
        qrels[split][qid] = {did: 1.0}
        examples[split].append(
            Example(
                question=queries[qid].text,
                answer=f"town{number}",
                oracle=(text,),
                oracle_ids=(did,),
            )
        )
    for split, some in examples.items():
        write_examples(folder / f"raft_{split}.jsonl", some)
    return DataSet.of(corpus=corpus, queries=queries, qrels=qrels, source=folder)


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return make(tmp_path / "people")


@dataclass(frozen=True)
class House:
    """A store with one tuned language model, called ``mine``, and what it was made from."""

    shop: Workshop
    data: DataSet
    planned: Planned
    made: Trained

    @property
    def store(self) -> Store:
        return self.shop.store


class Command:
    """The command line in this process: exit code, and what it said on both of its streams."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, store: Store, *arguments: object) -> tuple[int, str]:
        self._monkeypatch.setenv("RAGD_TUNE_HOME", str(store.root))
        self._monkeypatch.setattr("sys.stdin", io.StringIO(""))
        self._capsys.readouterr()
        code = run([str(one) for one in arguments])
        told = self._capsys.readouterr()
        return code, told.out + told.err


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Train a tiny language model, in this process, by the plan that the command makes."""
    folder = tmp_path_factory.mktemp("raft")
    data = make(folder / "answers")
    write(data, folder / "data")
    for path in (folder / "answers").iterdir():
        shutil.copy(path, folder / "data")
    given = {
        "base": str(tiny_lm(folder / "bases", "qwen2", max_length=1024)),
        "backend": "cpu",
        "device": "cpu",
        "tuning": "lora",
        "max_length": 512,
        "learning_rate": 1e-3,
        "max_steps": 4,
        "batch_size": 8,
        "precision": "fp32",
        "system_prompt": "Be brief.",
    }
    shop = workshop(home=folder / "home")
    request = Request(kind="raft", data=folder / "data", given=given, offline=True)
    planned = plan(shop, request)
    planned.plan.out.parent.mkdir(parents=True)
    result = shop.registry.call(
        "cpu",
        "ragd_tune_train",
        plan=planned.plan,
        rows=planned.rows,
        emit=lambda event: None,
    )
    return House(
        shop=shop, data=data, planned=planned, made=commit(shop, planned, result, name="mine")
    )
