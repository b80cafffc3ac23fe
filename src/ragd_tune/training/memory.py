"""The peak of this process's resident memory, on every system."""

from __future__ import annotations

import sys


def peak_bytes() -> int:
    """Return the largest resident set that this process has had, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
