"""How often the gate lets an adapter pass that learned nothing: a whole run of the default recipe.

    python benchmarks/false_alarms.py DATA [DATA ...] --out false_alarms.json

For each BEIR folder it

1. trains once as a user would (``ragd-tune train bi-encoder``, defaults, so with whatever the
   recipe selects on dev), and flips the signs of its per-query differences at random, whole
   clusters at a time: the share of flips that the gate accepts should be at most 2.5%;
2. deals the answers of the training queries anew and trains on that, ``--seeds`` times, each judged
   on test: nothing is to be learned, so none may pass;
3. trains ``--tries`` times on one such deal, chooses the best on dev and judges it on test once.

Every training is a run of the command line in a store of its own under ``--work``, so a run that
was stopped goes on where it was: results that are in ``--out`` are not made again. Options after
``--`` go to every training, for example ``-- --minutes 5``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ragd_tune.data import DataSet, read, write
from ragd_tune.evaluate import paired_columns

FLIPS, COLUMNS = 2000, 200
Json = dict[str, Any]


class Book:
    """Results by name, written down after each: what is there is not made again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: Json = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def once(self, name: str, make: Callable[[], Json]) -> Json:
        """Return the result ``name``; make and keep it if it is not there."""
        if name not in self.found:
            start = time.perf_counter()
            self.found[name] = {**make(), "seconds": round(time.perf_counter() - start, 1)}
            draft = self.path.with_suffix(".part")
            draft.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")
            draft.replace(self.path)
        told: Json = self.found[name]
        sys.stdout.write(f"{name}: {json.dumps(told)}\n")
        sys.stdout.flush()
        return told


def command(home: Path, *words: str) -> Json:
    """Run ``ragd-tune`` with a store of its own and return its JSON; exit 3 is a result, too."""
    environ = os.environ | {"RAGD_TUNE_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "ragd_tune", *words, "--json"],
        env=environ,
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode not in {0, 3}:
        raise SystemExit(f"ragd-tune {' '.join(words)} ended with {done.returncode}")
    told: Json = json.loads(done.stdout)
    return told


def train(home: Path, data: Path, *more: str) -> Json:
    """Train and prove; ``more`` are options of the command."""
    return command(
        home, "train", "bi-encoder", "--data", str(data), "--fresh", "--no-forgetting", *more
    )


def shuffled(data: DataSet, seed: int, folder: Path) -> Path:
    """Write ``data`` with the training queries' answers dealt anew; test and dev stay."""
    if folder.is_dir():
        return folder
    judged = data.qrels["train"]
    answers = list(judged.values())
    random.Random(seed).shuffle(answers)
    dealt = dict(zip(judged, answers, strict=True))
    return write(data.with_qrels({**data.qrels, "train": dealt}), folder)


def flips(proof: Json) -> float:
    """Return the share of random sign flips by cluster that the gate would accept."""
    rows = proof["queries"]
    labels = np.unique([row["cluster"] for row in rows], return_inverse=True)[1].reshape(-1)
    change = np.array([row["after"] - row["before"] for row in rows])
    draw = np.random.default_rng(0)
    accepted = 0
    for seed in range(FLIPS // COLUMNS):
        signs = draw.choice([-1.0, 1.0], (labels.max() + 1, COLUMNS))[labels]
        found = paired_columns(change[:, None] * signs, labels, seed=seed)
        accepted += sum(one.proven for one in found)
    return accepted / FLIPS


def told(run: Json) -> Json:
    """Return what is kept of a run."""
    kept = ("passed", "base", "adapter", "difference", "interval", "p", "n", "clusters", "steps")
    return {name: run[name] for name in kept if name in run}


def flipped(home: Path, data: Path, options: Sequence[str]) -> Json:
    """Train on the real pairs, and flip signs."""
    run = train(home, data, *options)
    return {**told(run), "accepted": flips(run["proof"]), "flips": FLIPS}


def luckiest(home: Path, data: Path, options: Sequence[str], tries: int) -> Json:
    """Train ``tries`` times on shuffled pairs, choose on dev, judge the best on test once."""
    gains = {}
    for seed in range(tries):
        name = f"try{seed}"
        run = train(home, data, "--seed", str(seed), "--split", "dev", "--name", name, *options)
        gains[name] = run["difference"]
    best = max(gains, key=lambda name: gains[name])
    judged = command(home, "evaluate", best, "--data", str(data), "--no-forgetting")
    passed = judged["proof"]["passed"]
    return {
        **told(judged), "passed": passed, "best": best, "gain on dev": gains[best], "tries": tries,
    }  # fmt: skip


def study(book: Book, folder: Path, asked: argparse.Namespace) -> None:
    """Run all three on one data set."""
    work = asked.work / folder.name
    home, data = work / "home", read(folder)
    book.once(f"{folder.name} flips", lambda: flipped(home, folder, asked.options))
    for seed in range(asked.seeds):
        place = shuffled(data, seed, work / f"shuffled{seed}")
        book.once(
            f"{folder.name} shuffled {seed}",
            lambda place=place, seed=seed: told(  # type: ignore[misc]
                train(home, place, "--seed", str(seed), *asked.options)
            ),
        )
    if asked.tries:
        place = shuffled(data, 0, work / "shuffled0")
        book.once(
            f"{folder.name} luckiest of {asked.tries}",
            lambda: luckiest(work / "tries", place, asked.options, asked.tries),
        )


def summary(found: Json) -> Json:
    """Return how many passed that should not have."""
    nulls = {name: one for name, one in found.items() if "shuffled" in name or "luckiest" in name}
    return {
        "accepted flips": {n: one["accepted"] for n, one in found.items() if "accepted" in one},
        "null runs": len(nulls),
        "null runs that passed": sorted(name for name, one in nulls.items() if one["passed"]),
    }


def main() -> None:
    """Run what was asked for, and say what came out."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("data", type=Path, nargs="+", metavar="DATA")
    options.add_argument("--out", type=Path, default=Path("false_alarms.json"))
    options.add_argument("--work", type=Path, default=Path("false_alarms"))
    options.add_argument("--seeds", type=int, default=5, help="deals of shuffled pairs")
    options.add_argument("--tries", type=int, default=20, help="adapters to choose the best of")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    asked = options.parse_args(words[:cut])
    asked.options = words[cut + 1 :]
    book = Book(asked.out)
    for folder in asked.data:
        study(book, folder, asked)
    sys.stdout.write(json.dumps(summary(book.found), indent=1) + "\n")


if __name__ == "__main__":
    main()
