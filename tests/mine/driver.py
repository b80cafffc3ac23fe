"""A mining in a process of its own that kills itself at the write that it is told."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.mine.conftest import embed

from ragd_tune.data.mine import Mining, dense, mine, run
from ragd_tune.testing.samples import tiny_data


def main(folder: Path, die_at: int) -> None:
    """Mine in ``folder``; die at the write number ``die_at``, which counts from 1."""
    run._QUERIES, dense.BLOCK = 4, 8
    real, writes = os.fsync, [0]

    def fsync(handle: int) -> None:
        writes[0] += 1
        if writes[0] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        real(handle)

    os.fsync = fsync  # type: ignore[assignment]
    made = mine(tiny_data(queries=80), Mining(per_query=3), folder / "work", embed=embed)
    told = {"negatives": made.negatives, "teacher": made.teacher, "counts": made.to_json()}
    (folder / "result.json").write_text(json.dumps(told, sort_keys=True), encoding="utf-8")
