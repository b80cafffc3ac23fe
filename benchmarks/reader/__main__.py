"""``python -m benchmarks.reader OUT``: see :mod:`benchmarks.reader.compare`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.reader.compare import compare
from benchmarks.reader.data import Size
from benchmarks.reader.pretrain import Recipe


def main() -> None:
    """Read the command line, and print a table for each seed and one of all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reader",
        description="RAFT against plain fine-tuning, on small models from scratch.",
    )
    parser.add_argument("out", type=Path, help="folder to write; it must not be there yet")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        help="each makes a model, a data set and two runs of its own (default: 0 1 2)",
    )
    given = parser.parse_args()
    if given.out.exists():
        parser.error(f"{given.out} is there already: name another folder")
    made = {}
    for seed in given.seeds:
        made[seed] = compare(given.out / f"seed{seed}", Recipe(seed=seed), Size())
        print(f"\nseed {seed}, {made[seed]['cpu_seconds']} CPU seconds")
        show(made[seed]["figures"])
    told = {str(seed): one for seed, one in made.items()}
    (given.out / "seeds.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print("\nthe answer is right, with distractors")
    show({f"seed {seed}": one["figures"]["match"] for seed, one in made.items()})


def show(figures: dict[str, dict[str, Any]]) -> None:
    """Print plain, RAFT and their difference, a line for each figure."""
    print(f"{'':32} plain   RAFT   difference (95% interval)")
    for name, one in figures.items():
        interval = f"{one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"
        print(f"{name:32} {one['plain']:.3f}  {one['raft']:.3f}  {interval}")


if __name__ == "__main__":
    main()
