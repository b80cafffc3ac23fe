"""Hands for the tests of a cluster; its workers import them from here."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Slow:
    """Says who did it, after a while; ``most`` is how many were at it at the same time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now, self.lock = 0, threading.Lock()

    def __call__(self, items: NDArray[Any]) -> dict[str, NDArray[Any]]:
        with self.lock:
            self.now += 1
            most = self.now
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        count = len(items)
        said = np.array([f"{one}!" for one in items], dtype=object)
        return {"said": said, "by": np.full(count, os.getpid()), "most": np.full(count, most)}
