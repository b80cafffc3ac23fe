"""``python -m benchmarks.reader OUT``: see :mod:`benchmarks.reader.compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.reader.compare import compare
from benchmarks.reader.data import Size
from benchmarks.reader.pretrain import Recipe


def main() -> None:
    """Read the command line and print what came out, metric by metric."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reader",
        description="RAFT against plain fine-tuning, on a small model from scratch.",
    )
    parser.add_argument("out", type=Path, help="folder to write; it must not be there yet")
    parser.add_argument("--seed", type=int, default=0, help="of the model, the data and the runs")
    given = parser.parse_args()
    if given.out.exists():
        parser.error(f"{given.out} is there already: name another folder")
    made = compare(given.out, Recipe(seed=given.seed), Size())
    print(f"{'':32} plain   RAFT   difference (95% interval)")
    for name, one in made["figures"].items():
        interval = f"{one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"
        print(f"{name:32} {one['plain']:.3f}  {one['raft']:.3f}  {interval}")
    print(f"seconds: {made['seconds']}, CPU seconds: {made['cpu_seconds']}")


if __name__ == "__main__":
    main()
