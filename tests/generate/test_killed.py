from __future__ import annotations

import multiprocessing
import os
import random
from pathlib import Path

import pytest
from tests.generate.driver import main
from tests.generate.scripted import serving

from ragd_tune.testing.machine import Machine

PRELOAD = [
    "tests.generate.driver",
    "ragd_tune.cli.generate",
    "ragd_tune.cli.progress",
    "ragd_tune.pipeline.asking",
    "ragd_tune.data.near",
]


def run(arguments: list[str], home: Path, die_at: int) -> int | None:
    # A server that has imported everything forks each run, which saves a second of imports each.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    variables = {"RAGD_TUNE_HOME": str(home)}
    process = context.Process(target=main, args=(arguments, variables, die_at))
    process.start()
    process.join()
    return process.exitcode


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_generation_killed_twenty_times_ends_like_an_undisturbed_one(
    machine: Machine, folder: Path, tmp_path: Path
) -> None:
    draw = random.Random(6)
    with serving() as server:

        def command(name: str) -> list[str]:
            out = str(tmp_path / name)
            base = ["--base", "no-such-model", "--without", "round-trip", "--offline"]
            return ["data", "generate", str(folder), "--out", out, "--endpoint", server.url, *base]

        assert run(command("calm"), tmp_path / "one", 0) == 0
        asked = sum(server.seen.values())
        kills = 0
        # Then it is left alone: publishing the folder takes more writes than a round has.
        while run(command("killed"), tmp_path / "two", draw.randrange(1, 7) * (kills < 20)) != 0:
            kills += 1
            assert kills < 100
            for journal in (tmp_path / "two").rglob("*.jsonl"):
                with journal.open("ab") as file:  # what a power cut leaves of a line
                    file.write(b'{"key": "c' * draw.randrange(2))
        again = sum(server.seen.values()) - asked
    assert kills >= 20
    assert again <= asked + 4 * kills  # four at a time were in flight
    for path in (tmp_path / "calm").rglob("*.*"):
        other = tmp_path / "killed" / path.relative_to(tmp_path / "calm")
        assert path.read_bytes() == other.read_bytes()
