"""``ragd-tune ragas``: base and adapter answer, a judge reads, and nothing is decided by it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.raft.conftest import Command, House
from tests.ragas.judge_server import JudgeServer, serving
from tests.ragas.stand_in import interpreter

from ragd_tune.evaluate.ragas import METRICS
from ragd_tune.store import Store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")


@pytest.fixture
def store(house: House, tmp_path: Path) -> Store:
    shutil.copytree(house.store.root, tmp_path / "store")
    return Store(tmp_path / "store")


def rated(
    command: Command, store: Store, house: House, folder: Path, server: JudgeServer, *more: str
) -> tuple[int, str]:
    given = ("--data", house.planned.data.source, "--python", interpreter(folder))
    few = ("--answer-tokens", "6", "--passages", "2", "--questions", "5")
    return command(store, "ragas", "mine", *given, "--endpoint", server.url, *few, *more)


def test_both_sides_are_judged_and_the_record_holds_numbers_alone(
    house: House, store: Store, command: Command, tmp_path: Path
) -> None:
    with serving() as server:
        more = ("--embedding-model", "e", "--json")
        code, told = rated(command, store, house, tmp_path, server, *more)
    found: dict[str, Any] = json.loads(told[told.index("{") :])
    assert code == 0
    assert (found["judge"], found["questions"]) == ("judge", 5)
    assert set(found["metrics"]) == set(METRICS)
    # BM25 finds the passage of each person, and the stand-in finds the town in it
    recall = found["metrics"]["context_recall"]
    assert (recall["mean"], recall["judged"], recall["failed"]) == (1.0, 5, 0)
    assert (recall["low"], recall["high"]) == (1.0, 1.0)
    assert {"base", "adapter", "difference", "low", "high"} < set(found["metrics"]["faithfulness"])
    (record,) = store.records(house.made.id, "ragas")
    assert "Person" not in json.dumps(record.payload)
    assert not store.records(house.made.id, "proof")


def test_a_table_says_who_judged_what_is_left_out_and_that_it_decides_nothing(
    house: House, store: Store, command: Command, tmp_path: Path
) -> None:
    with serving() as server:
        code, told = rated(command, store, house, tmp_path, server)
    assert code == 0
    for words in ("judged by judge", "faithfulness", "needs --embedding-model", "refuses nothing"):
        assert words in told


def test_what_cannot_be_judged_is_refused_before_any_model_is_loaded(
    house: House, store: Store, command: Command, tmp_path: Path
) -> None:
    with serving() as server:
        code, told = rated(command, store, house, tmp_path, server, "--split", "none")
        assert (code, "no question of none has an answer" in told) == (5, True)
    code, told = rated(command, store, house, tmp_path, server)
    assert (code, "ragas needs a judge" in told) == (4, True)
    remote = ("--endpoint", "http://192.0.2.1/v1")
    code, told = command(store, "ragas", "mine", "--data", house.planned.data.source, *remote)
    assert (code, "is not this machine" in told) == (2, True)
