"""Hard negatives on nl2bash: none, the naive hardest, and positive-aware ones, with intervals.

python benchmarks/mined_negatives.py prepare WORK     # mines; a few minutes of CPU
python benchmarks/mined_negatives.py run WORK --out RESULTS   # trains; wants a GPU
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tables import measured, shared, table, training_flags, training_options

from ragd_tune.data import read, write
from ragd_tune.data.mine import Mining, mine
from ragd_tune.pipeline import workshop
from ragd_tune.pipeline.generating import embedding

ARMS: dict[str, Mining | None] = {
    "none": None,
    "naive": Mining(margin=None, splits=("train",)),
    "positive-aware": Mining(splits=("train",)),
}
COLUMNS = ("set", "seed", "rows", "base", "adapter", "difference", "interval")


def prepare(work: Path, *, name: str, base: str, queries: int | None) -> None:
    """Write a data set for each arm; ``queries`` takes only so many training queries."""
    data = shared(name)
    if queries:
        train = dict(list(data.qrels["train"].items())[:queries])
        data = data.with_qrels({**data.qrels, "train": train})
    with embedding(workshop(), base, offline=True) as embed:
        for arm, asked in ARMS.items():
            made, told = data, {}
            if asked is not None:
                mined = mine(data, asked, work / "mining", embed=embed, encoder=base)
                made, told = data.with_negatives(mined.negatives), mined.to_json()
            about = {"mined": told}
            write(replace(made, about=about), work / f"{name}.{arm}", force=True, compress=True)
            print(arm, json.dumps(told), flush=True)


def run(
    work: Path,
    out: Path,
    *,
    name: str,
    base: str,
    split: str,
    seeds: int,
    training: Mapping[str, object],
) -> None:
    """Train each arm with every seed, compare on ``split``, and write JSON and a table."""
    rows: list[dict[str, object]] = []
    out.mkdir(parents=True, exist_ok=True)
    for arm in ARMS:
        folder = work / f"{name}.{arm}"
        count = 4 if read(folder).negatives else 0
        for seed in range(seeds):
            given = {"negatives": count, "mine": "no", "max_length": 64, **training}
            row = measured(folder, out / "home", base=base, split=split, seed=seed, given=given)
            rows.append(row)
            print(json.dumps(row), flush=True)
            (out / "negatives.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(table(rows, COLUMNS))


def main() -> None:
    """Prepare, or run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["prepare", "run"])
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--set", dest="name", default="nl2bash")
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    parser.add_argument("--split", default="test", choices=["dev", "test"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--queries", type=int, help="only so many training queries: a trial")
    training_flags(parser)
    given = parser.parse_args()
    if given.what == "prepare":
        prepare(given.work, name=given.name, base=given.base, queries=given.queries)
    else:
        run(
            given.work,
            given.out,
            name=given.name,
            base=given.base,
            split=given.split,
            seeds=given.seeds,
            training=training_options(given),
        )


if __name__ == "__main__":
    main()
