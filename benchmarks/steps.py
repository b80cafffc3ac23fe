"""Seconds of a bi-encoder's step on this machine, and the memory of the process that trains.

``python benchmarks/steps.py DATA [--tuning full|lora] [--steps 10]``

The first steps are left out: they load and compile. What the environment says counts, so that
settings can be compared: ``GOMP_SPINCOUNT=0 OMP_WAIT_POLICY=PASSIVE`` has threads sleep at once,
and any ``MALLOC_…`` leaves memory to glibc. Negatives are mined once, under ``--home``. Prints
JSON. Needs ``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from ragd_tune.pipeline import Request, plan, train, workshop
from ragd_tune.plan import Event

LEFT_OUT = 3


def main() -> None:
    """Train a little and print what a step took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--tuning", default="full", choices=["full", "lora"])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    parser.add_argument("--home", type=Path, help="store; one that goes away when not set")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measured(asked, asked.home or Path(home))))


def measured(asked: argparse.Namespace, home: Path) -> dict[str, object]:
    """Return seconds a step, the last losses, and the peak of memory in bytes."""
    told: list[Event] = []
    shop = workshop(home=home, observe=told.append)
    given = {"tuning": asked.tuning, "max_steps": asked.steps, "base": asked.base}
    planned = plan(shop, Request(kind="bi-encoder", data=asked.data, given=given, offline=True))
    result = train(shop, planned, fresh=True).result
    steps = [one for one in told if one.type == "step"]
    first, last = steps[min(LEFT_OUT, len(steps) - 1)], steps[-1]
    return {
        "tuning": asked.tuning,
        "seconds_a_step": round((last.seconds - first.seconds) / max(1, last.step - first.step), 3),
        "losses": [round(loss, 4) for _, loss in result.losses[-2:]],
        "peak_bytes": result.peak_bytes,
    }


if __name__ == "__main__":
    main()
