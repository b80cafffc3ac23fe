from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ragd_tune import __version__, cli
from ragd_tune.data.cluster import Hand, clustered, connect, work
from ragd_tune.data.cluster.work import Columns
from ragd_tune.errors import (
    NOT_INSTALLED,
    BaseMismatchError,
    DataError,
    TuneError,
    UsageError,
    WorkerError,
    from_json,
)
from ragd_tune.evaluate.search import TopK
from ragd_tune.pipeline.spreading import Model
from ragd_tune.testing.machine import Machine


def test_a_command_without_ray_says_how_to_get_it(
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(connect, "find_spec", lambda name: None)
    given = ["data", "mine", str(machine.data), str(tmp_path / "out"), "--ray", "auto"]
    assert cli.run(given) == NOT_INSTALLED
    assert 'pip install "ragd-tune[ray]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["ray://head:10001", "head:no", ":6379"])
def test_what_is_no_address_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "find_spec", lambda name: object())
    with pytest.raises(UsageError, match="no address of a Ray cluster"):
        clustered(address).__enter__()


def test_without_an_address_there_is_no_cluster() -> None:
    with clustered(None) as cluster:
        assert cluster is None


def failing() -> Hand:
    raise DataError("line 7 is broken", mend="mend it")


def crashing() -> Hand:
    raise ZeroDivisionError("a fault of ours")


def fault_of(made: Columns) -> TuneError:
    return from_json(json.loads(str(made["fault"][0])))


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (failing, DataError, "line 7 is broken\n→ mend it"),
        (crashing, WorkerError, "a worker of the cluster failed: ZeroDivisionError: a fault of"),
    ],
)
def test_what_goes_wrong_on_a_worker_is_told_as_it_would_be_here(
    make: Callable[[], Hand], kind: type[TuneError], said: str
) -> None:
    told = fault_of(work.Worker(make, __version__)({"data": np.array(["one"])}))
    assert type(told) is kind
    assert str(told).startswith(said)


def test_another_version_on_a_worker_is_refused() -> None:
    told = fault_of(work.Worker(failing, "9.9")({"data": np.array(["one"])}))
    assert str(told).endswith("and this one 9.9\n→ install the same version everywhere")


def test_a_hand_is_made_once_for_all_blocks_of_a_worker() -> None:
    made: list[int] = []

    def make() -> Hand:
        made.append(1)
        return lambda items: {"said": items}

    worker = work.Worker(make, __version__)
    for _ in range(3):
        assert worker({"data": np.array(["one"])})["said"].tolist() == ["one"]
    assert made == [1]


def test_another_model_of_the_same_name_on_a_worker_is_refused() -> None:
    model = Model(name="base", id="a" * 64, home="/nowhere")
    model.same("a" * 64)
    with pytest.raises(BaseMismatchError, match="base is another model on a machine"):
        model.same("b" * 64)


def test_what_a_search_found_in_parts_is_what_it_finds_in_the_whole() -> None:
    draw = np.random.default_rng(1)
    passages, queries = (draw.normal(size=(n, 4)).astype(np.float32) for n in (50, 7))
    whole, parts = TopK(queries, 9), TopK(queries, 9)
    whole.add(passages)
    for start in range(0, 50, 20):
        part = TopK(queries, 9)
        part.add(passages[start : start + 20])
        parts.take(part.found(), len(passages[start : start + 20]))
    for one, other in zip(whole.result(), parts.result(), strict=True):
        np.testing.assert_array_equal(one, other)
