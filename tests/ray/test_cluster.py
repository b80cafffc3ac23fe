from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.ray.conftest import Machines, joined
from tests.ray.hands import Slow

from ragd_tune.data.cluster import Cluster, clustered
from ragd_tune.data.cluster import work as work_module
from ragd_tune.data.mine.dense import Dense
from ragd_tune.data.mine.spread import SpreadDense
from ragd_tune.errors import NotInstalledError, UsageError

# What Ray warns of in itself is not ours to judge.
pytestmark = pytest.mark.filterwarnings("ignore")

ITEMS = [f"item{number}" for number in range(60)]


def test_a_worker_that_is_killed_in_the_middle_loses_nothing_and_doubles_nothing(
    machines: Machines, victim: Any
) -> None:
    with joined(machines) as cluster:
        assert (cluster.machines, cluster.cpus) == (2, 2)
        said: list[str] = []
        dead: set[int] = set()
        for made in cluster.map(partial(Slow, 0.1), ITEMS, block=1):
            said += made["said"].tolist()
            if not dead and (dead := machines.hands(victim) & {*made["by"].tolist()}):
                assert len(said) < len(ITEMS) - 5
                machines.kill(victim)
        assert dead, "the victim did none of the work"
    assert said == [f"{one}!" for one in ITEMS]


def test_threads_of_one_worker_do_as_many_as_they_were_told(machines: Machines) -> None:
    with joined(machines) as cluster:
        rows = list(cluster.map(partial(Slow, 0.3), ITEMS[:12], block=1, ordered=False, at_once=4))
    assert sorted(one for made in rows for one in made["said"]) == sorted(
        f"{one}!" for one in ITEMS[:12]
    )
    assert 2 <= max(int(made["most"].max()) for made in rows) <= 4


def test_the_searches_of_a_cluster_find_what_one_machine_finds(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragd_tune.data.mine.spread.SHARD", 70)
    monkeypatch.setattr(work_module, "WINDOW", 3)  # so it takes two to hand five parts on
    draw = np.random.default_rng(0)
    passages, queries = (
        np.round(draw.normal(size=(count, 8)), 1).astype(np.float32) for count in (300, 20)
    )
    passages[100:110] = passages[5]  # equals: the lower number has to win
    scores, numbers = Dense(passages, index="exact").search(queries, 90)
    with joined(machines) as cluster:
        again, found = SpreadDense(cluster, passages).search(queries, 90)
    np.testing.assert_array_equal(numbers, found)
    np.testing.assert_array_equal(scores, again)


def test_other_machines_are_refused_unless_that_is_allowed(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "203.0.113.9")
    with pytest.raises(UsageError, match="your documents would"), clustered(machines.address):
        pass
    with clustered(machines.address, allow_remote=True) as cluster:
        assert isinstance(cluster, Cluster)


def test_where_no_cluster_answers_it_is_said_at_once(machines: Machines) -> None:
    with pytest.raises(NotInstalledError, match="no Ray cluster answers at 127"):
        clustered("127.0.0.1:9").__enter__()
