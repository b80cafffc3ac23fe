"""What the hook costs a Python that does not import ragd: ``python benchmarks/hook_startup.py``.

Prints JSON. ``start`` is what reading the two files of the hook takes more than reading an empty
folder does, in fresh processes that take turns: milliseconds of CPU time, the median, and the 95th
percentile of single runs. ``import`` is what every later import of another module pays:
microseconds. The promise is 2 ms for a start.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import cast

from ragd_tune.ragd import hook_module, hooking

RUNS = 200
READ = """
import site, sys, time
start = time.process_time_ns()
site.addsitedir(sys.argv[1])
print(time.process_time_ns() - start)
"""


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as name:
        hooked, empty = Path(name) / "hooked", Path(name) / "empty"
        hooked.mkdir()
        empty.mkdir()
        shutil.copyfile(Path(hook_module.__file__), hooked / hooking.MODULE)
        module = hooking.MODULE.removesuffix(".py")
        (hooked / hooking.POINTER).write_text(f"import {module}\n", encoding="utf-8")
        nanoseconds(hooked)  # compiles it once, as the first start does
        pairs = [(nanoseconds(hooked), nanoseconds(empty)) for _ in range(RUNS)]
    more = sorted((ours - nothing) / 1e6 for ours, nothing in pairs)
    looks, find = 100_000, cast("Callable[[str], object]", hook_module.Finder.find_spec)
    seconds = timeit.timeit(lambda: find("decimal"), number=looks)
    told = {
        "start": {"median": statistics.median(more), "95%": more[int(0.95 * RUNS)], "runs": RUNS},
        "import": seconds / looks * 1e6,
    }
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


def nanoseconds(folder: Path) -> int:
    """Return the CPU time of a fresh process for reading a folder as ``site-packages`` is."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


if __name__ == "__main__":
    main()
