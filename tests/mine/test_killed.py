from __future__ import annotations

import multiprocessing
import os
import random
from pathlib import Path

import pytest
from tests.mine.driver import main


def run(folder: Path, die_at: int) -> int | None:
    # A server that has imported everything forks each run, which saves a second of imports each.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.mine.driver"])
    process = context.Process(target=main, args=(folder, die_at))
    process.start()
    process.join()
    return process.exitcode


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_mining_killed_twenty_times_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    for name in ("calm", "killed"):
        (tmp_path / name).mkdir()
    assert run(tmp_path / "calm", 0) == 0
    draw = random.Random(6)
    kills = 0
    while run(tmp_path / "killed", draw.randrange(1, 3)) != 0:
        kills += 1
        assert kills < 500
        for journal in (tmp_path / "killed").rglob("mined.jsonl"):
            # What a power cut leaves of a line that was being written.
            with journal.open("ab") as file:
                file.write(b'{"key": "q' * draw.randrange(2))
    assert kills >= 20
    calm = (tmp_path / "calm" / "result.json").read_bytes()
    assert (tmp_path / "killed" / "result.json").read_bytes() == calm
