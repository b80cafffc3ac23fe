"""One whole run of the command line, from reading the data to the adapter in the store, in seconds.

    python benchmarks/end_to_end.py DATA [--pairs 6000] [--copied-steps 8] [-- OPTION …]

``--pairs`` takes only so many training queries, drawn by a fixed seed; the corpus and the other
splits stay whole. ``ragd-tune train bi-encoder`` runs in a process and a store of its own, so that
nothing was mined or embedded before; what stands after ``--`` goes to it. With ``--copied-steps``
the recipe that is copied most trains so many steps on the same pairs afterwards, for what three
epochs of it take at that pace (``benchmarks/copied_recipe.py``). Prints JSON. Needs
``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import benchmarks.tables  # noqa: F401 - puts the sources on the path, where nothing is installed

from ragd_tune.data import DataSet, read, write

TOLD = ("steps", "seconds", "base", "adapter", "difference", "interval", "n", "passed")


def fewer(data: DataSet, pairs: int | None) -> DataSet:
    """Return ``data`` with so many training queries; all where there are no more."""
    train = data.qrels["train"]
    if pairs is None or pairs >= len(train):
        return data
    kept = set(random.Random(0).sample(sorted(train), pairs))
    return data.with_qrels({**data.qrels, "train": {q: r for q, r in train.items() if q in kept}})


def ours(folder: Path, home: Path, more: list[str]) -> dict[str, object]:
    """Run the whole command once; its seconds, its memory, and what it told."""
    command = [sys.executable, "-m", "ragd_tune", "train", "bi-encoder", "--data", str(folder)]
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, "--json", *more],
        env=os.environ | {"RAGD_TUNE_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begun
    told = json.loads(done.stdout)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    found = {name: told.get(name) for name in TOLD}
    return {"exit_code": done.returncode, "whole_seconds": round(seconds, 1), "peak": peak, **found}


def copied(folder: Path, steps: int) -> dict[str, object]:
    """Train the copied recipe for some steps, and return what it told."""
    script = Path(__file__).with_name("copied_recipe.py")
    command = [sys.executable, str(script), "run", str(folder), "--max-steps", str(steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.strip().rpartition("\n")[2])
    return {name: told[name] for name in ("rows", "steps", "seconds", "whole_seconds", "peak_rss")}


def main() -> None:
    """Measure once."""
    own, more = sys.argv[1:], []
    if "--" in own:
        own, more = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--copied-steps", type=int)
    asked = parser.parse_args(own)
    with tempfile.TemporaryDirectory() as work:
        data = fewer(read(asked.data), asked.pairs)
        folder = write(data, Path(work) / asked.data.name)
        found: dict[str, object] = {"data": asked.data.name, "pairs": len(data.qrels["train"])}
        found["ours"] = ours(folder, Path(work) / "home", more)
        if asked.copied_steps:
            found["copied"] = copied(folder, asked.copied_steps)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
