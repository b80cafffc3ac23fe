"""A generation by a model in a process of its own that kills itself at the write it is told."""

from __future__ import annotations

import os
import signal

from ragd_tune import cli


def main(arguments: list[str], variables: dict[str, str], die_at: int) -> None:
    """Run a command line; die at the write number ``die_at``, which counts from 1."""
    os.environ.update(variables)
    real, writes = os.fsync, [0]

    def fsync(handle: int) -> None:
        writes[0] += 1
        if writes[0] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        real(handle)

    os.fsync = fsync  # type: ignore[assignment]
    raise SystemExit(cli.run(arguments))
