"""How the threads of PyTorch behave on a machine that has other things to do."""

from __future__ import annotations

import os
import sys

SPINS = 20_000
"""Turns, a tenth of a millisecond or less, that a thread waits for its next work before it sleeps.

A step of MiniLM has thousands of short pieces of work. On two idle cores it takes 4.0 seconds where
threads sleep at once, 3.1 with these turns, and 2.9 with five times as many
(``benchmarks/steps.py``, with that environment).
"""


def let_waiting_threads_sleep() -> None:
    """Have OpenMP's threads sleep soon where they wait; only before PyTorch's first import.

    By default they spin for long. With two threads on two busy cores, a step of MiniLM took 34
    seconds spinning and 4 sleeping. Only GNU's OpenMP, which PyTorch has on Linux, can wait a
    little first; others sleep at once. What the user set stays.
    """
    if "torch" in sys.modules or "OMP_WAIT_POLICY" in os.environ:
        return
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if sys.platform == "linux":
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
