"""How the threads of PyTorch behave on a machine that has other things to do."""

from __future__ import annotations

import os
import sys


def let_waiting_threads_sleep() -> None:
    """Have OpenMP's threads sleep while they wait; only before PyTorch's first import.

    By default they spin. With two threads on two busy cores, a step of MiniLM took 34 seconds
    spinning and 4 sleeping; on idle cores waking up costs microseconds. A value that the user set
    stays.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
