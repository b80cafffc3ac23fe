"""A cluster on this machine: a head that does no work, and workers that can be killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from ragd_tune.data.cluster import Cluster, clustered
from ragd_tune.testing.fakes import advertise
from ragd_tune.testing.machine import Machine

# Ray has an environment of its own (`tox -e ray`), where these tests run and may not be left out.
# What is said without it is tested everywhere.
collect_ignore_glob = [] if find_spec("ray") else ["test_[!w]*.py"]

STORE = 80_000_000
"""Bytes of shared memory of each machine of the cluster: the least that Ray takes."""
DEAD_AFTER = {
    "health_check_initial_delay_ms": 2000,
    "health_check_period_ms": 2000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}
"""How soon a machine that says nothing is given up; Ray's own 30 seconds are long for a test."""


@dataclass(kw_only=True)
class Machines:
    """The cluster, and how to add and to kill a worker."""

    cluster: Any
    variables: dict[str, str]

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables.items():
                patch.setenv(name, value)
            return self.cluster.add_node(num_cpus=1, object_store_memory=STORE)

    def hands(self, node: Any) -> set[int]:
        """Return the processes of a worker that do our work now."""
        raylet = node.all_processes["raylet"][0].process.pid
        return {one.pid for one in psutil.Process(raylet).children() if "MapWorker" in title(one)}

    def kill(self, node: Any) -> None:
        """Kill a worker with all its processes, as a machine that loses its power."""
        self.cluster.remove_node(node, allow_graceful=False)

    def kill_at_work(self, node: Any, patience: float = 120.0) -> None:
        """Kill a worker as soon as it has something in its hands."""
        end = time.monotonic() + patience
        while not self.hands(node):
            assert time.monotonic() < end, "the worker was never given anything"
            time.sleep(0.05)
        self.kill(node)


def title(process: psutil.Process) -> str:
    """Return what a process calls itself; nothing once it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    from ray.cluster_utils import Cluster as Started

    folder = tmp_path_factory.mktemp("plugins")
    variables = {
        "RAGD_TUNE_DISABLE": "cpu,mlx,unsloth",
        "RAGD_TUNE_HOME": str(folder / "nobodys"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }
    advertise(folder, variables.__setitem__, lambda path: None)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE}
        started = Started(
            initialize_head=True, head_node_args={**head, "_system_config": DEAD_AFTER}
        )
    made = Machines(cluster=started, variables=variables)
    made.add()
    yield made
    started.shutdown()


@pytest.fixture
def victim(machines: Machines) -> Iterator[Any]:
    """A second worker; the test may kill it."""
    node = machines.add()
    yield node
    if node in machines.cluster.worker_nodes:
        machines.kill(node)


@contextmanager
def joined(machines: Machines) -> Iterator[Cluster]:
    with clustered(machines.address) as cluster:
        assert cluster is not None
        yield cluster


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine.make(tmp_path, monkeypatch)
