"""A real ragd in every order of activate, index, search and rollback, as tests/ragd has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.host.conftest import PYTHON, Host

ORDERS = Path(__file__).parents[1] / "ragd" / "orders.py"
PREPARE = """
import sys
from pathlib import Path
from ragd_tune.data.write import write
from ragd_tune.testing.samples import tiny_data
from ragd_tune.testing.tiny import tiny_encoder
write(tiny_data(), Path("data"))
print(tiny_encoder(Path("base")).resolve())
"""
PROVEN = """
import sys
from ragd_tune.store import Store
store = Store()
for name in sys.argv[1:]:
    store.record(store.get(name).id, "proof", {"passed": True})
"""
STEPS = 33
TRAIN = "train bi-encoder --data data --tuning lora --mine no --max-steps 6 --batch-size 8"


@pytest.fixture(scope="module")
def ragd(make_host: Callable[[], Host]) -> Any:
    """Return a home in which ragd has indexed two texts by a tiny base, and three adapters."""
    host = make_host()
    base = host.python(PREPARE).strip()
    host.config.write_text(
        f"# mine\nembedding:\n  model: {base}\n  dimension: 32\n"
        f"storage:\n  data_dir: {host.config.parent}\n",
        encoding="utf-8",
    )
    documents = host.home / "docs"
    documents.mkdir()
    for word in ("harbour", "olive"):
        text = f"the {word} is told of at some length here, so that it can be found"
        (documents / f"{word}.txt").write_text(text, encoding="utf-8")
    host.index(documents)
    line = f"{TRAIN} --base {base} --learning-rate 0.02 --no-proof"
    host.tune(f"{line} --name one")
    host.tune(f"{line} --name two --seed 3")
    host.tune(f"{line} --name asks --seed 5 --side query")
    host.python(PROVEN, "one", "two", "asks")
    return host, base


def play(scene: str, ragd: Any, *, hooked: bool = False) -> None:
    host, base = ragd
    before = host.config.read_bytes()
    if hooked:
        host.tune("host enable")
    try:
        site = [str(host.home)] if hooked else []
        host.run(PYTHON, str(ORDERS), scene, "real", base, *site)
    finally:
        host.tune("host disable")
    for _ in range(STEPS):  # a scene may end with activations in force
        if host.config.read_bytes() == before:
            return
        host.tune("adapters rollback")
    raise AssertionError(host.config.read_text(encoding="utf-8"))


@pytest.mark.parametrize("hooked", [False, True])
def test_ragd_itself_in_every_order(ragd: Any, hooked: bool) -> None:
    play("every-order", ragd, hooked=hooked)


@pytest.mark.skipif(os.name == "nt", reason="needs fork and SIGKILL")
def test_an_activation_or_a_rollback_killed_anywhere(ragd: Any) -> None:
    ragd[0].env["STEP"] = "5"
    play("killed-anywhere", ragd)


@pytest.mark.parametrize("hooked", [False, True])
def test_searching_and_indexing_while_another_process_switches(ragd: Any, hooked: bool) -> None:
    play("at-once", ragd, hooked=hooked)
