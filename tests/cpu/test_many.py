"""Several processes that share every batch give what one process gives."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from safetensors.numpy import load_file

from ragd_tune.errors import UsageError
from ragd_tune.objectives import Rows
from ragd_tune.plan import Event, Stop, TrainPlan

if TYPE_CHECKING:
    from tests.cpu.conftest import Lab

pytestmark = pytest.mark.slow


def adapter(plan: TrainPlan) -> dict[str, object]:
    return dict(load_file(plan.out / "adapter_model.safetensors"))


def assert_close(one: TrainPlan, two: TrainPlan, most: float = 1e-4) -> None:
    first, second = adapter(one), adapter(two)
    assert first.keys() == second.keys()
    furthest = max(float(abs(first[name] - second[name]).max()) for name in first)  # type: ignore[operator]
    assert furthest < most


def test_two_processes_give_the_adapter_of_one_with_twice_the_batch(lab: Lab) -> None:
    base = lab.base()
    # Each of the two computes batches of 4; the one of 8 has all negatives in one place.
    one = lab.plan(base, batch_size=8, max_steps=6)
    two = lab.plan(base, batch_size=8, max_steps=6, processes=2)
    alone = lab.train(one)
    lab.events.clear()
    shared = lab.train(two)
    assert_close(one, two)
    assert [s for s, _ in shared.losses] == [s for s, _ in alone.losses]
    assert [x for _, x in shared.losses] == pytest.approx([x for _, x in alone.losses], abs=1e-4)
    assert shared.rows_seen == alone.rows_seen
    types = [event.type for event in lab.events]
    assert [types.count(kind) for kind in ("load", "start", "step", "done")] == [1, 1, 6, 1]


def test_two_machines_of_one_process_each_give_the_adapter_of_one(lab: Lab) -> None:
    base = lab.base()
    alone = lab.plan(base, batch_size=8, max_steps=3)
    lab.train(alone)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = f"--nnodes 2 --master-addr 127.0.0.1 --master-port {port} --node-rank"
    both = [
        lab.plan(base, batch_size=8, max_steps=3, **{"cpu.torchrun": f"{where} {rank}"})
        for rank in (0, 1)
    ]
    with ThreadPoolExecutor(2) as machines:
        results = list(machines.map(lab.train, both))
    for plan, result in zip(both, results, strict=True):
        assert result.steps == 3
        assert_close(alone, plan)
    assert_close(both[0], both[1], 1e-7)


def test_they_stop_together_and_go_on_as_if_they_had_not(lab: Lab) -> None:
    base = lab.base()
    whole, stopped = (lab.plan(base, max_steps=4, processes=2) for _ in range(2))
    lab.train(whole)

    def stop(event: Event) -> None:
        if event.type == "step" and event.step == 2:
            raise Stop

    with pytest.raises(Stop):
        lab.train(stopped, stop)
    assert not stopped.out.exists()
    result = lab.train(stopped)
    assert result.resumed_from == 2
    assert_close(whole, stopped, 1e-7)


def test_a_batch_too_small_for_all_is_no_obstacle(lab: Lab) -> None:
    row = {**lab.rows.train[0], "negatives": ["harbour lamp"], "negative_keys": ["h"]}
    lab.rows = Rows(objective="contrastive", train=[row])
    base = lab.base()
    one, two = lab.plan(base, max_steps=2), lab.plan(base, max_steps=2, processes=2)
    lab.train(one)
    lab.train(two)
    assert_close(one, two)


def test_what_one_of_them_refuses_is_told_as_its_own_error(lab: Lab, tmp_path: Path) -> None:
    plan = lab.plan(lab.base(), processes=2, lora_targets=("no_such_layer",))
    with pytest.raises(UsageError, match="no linear layer is called no_such_layer"):
        lab.train(plan)
    assert not plan.out.exists()
