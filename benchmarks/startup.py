"""CPU seconds of ``import ragd_tune`` and ``ragd-tune --help``: ``python benchmarks/startup.py``.

Prints JSON: the median of 15 fresh processes each, beside that of an empty interpreter, user and
system time together. Aims: ``import`` at most 0.1 s and ``--help`` at most 0.25 s.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

RUNS = 15
CASES = {
    "python": "pass",
    "import ragd_tune": "import ragd_tune",
    "ragd-tune --help": "from ragd_tune.cli import run; run(['--help'])",
    "ragd-tune plugins": "from ragd_tune.cli import run; run(['plugins'])",
}
TIMED = """
import sys, time
{code}
print(time.process_time(), file=sys.stderr)
"""


def cpu_seconds(code: str) -> float:
    """Return the CPU seconds of one fresh process that runs ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(code=code)], capture_output=True, text=True, check=True
    )
    return float(done.stderr.splitlines()[-1])


def main() -> None:
    """Measure every case in turn, several times, so that a busy moment hits all of them."""
    measured: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(RUNS):
        for name, code in CASES.items():
            measured[name].append(cpu_seconds(code))
    told = {name: round(statistics.median(times), 3) for name, times in measured.items()}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
