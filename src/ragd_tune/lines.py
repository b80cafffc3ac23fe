"""What another process says, line by line, for whoever waits with a bound of time."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import IO


def lines_of(pipe: IO[str]) -> queue.Queue[str]:
    """Return a queue that gets each line of ``pipe``; an empty text says that it has ended."""
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(pipe, lines), daemon=True).start()
    return lines


def _listen(pipe: IO[str], lines: queue.Queue[str]) -> None:
    with contextlib.suppress(ValueError, OSError):  # the pipe is closed under us at the end
        for line in pipe:
            lines.put(line)
    lines.put("")
