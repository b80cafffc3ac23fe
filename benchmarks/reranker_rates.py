"""Learning rates and other levers of the rerankers: short runs, compared on a dev split.

``python benchmarks/reranker_rates.py cross-encoder nl2bash full 2e-5 5e-5 1e-4 --steps 140``

Every run starts from the same base; with the same options it has the same rows and batches, and
only the peak rate differs. ``--option loss=listwise`` sets any option of a training, for all runs
of a call. The candidates are a first stage's best 20, so that a proof takes less than the training;
``--queries`` proves on so many of the dev split's, drawn by a fixed seed. Prints a line of JSON a
run: metric by side, interval, and CPU seconds, which other work on the machine does not change
much. Needs ``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tables import shared

from ragd_tune.data import DataSet
from ragd_tune.pipeline import Request, plan, prove, train, workshop
from ragd_tune.pipeline.proving import headline


def cpu_seconds() -> float:
    """Return what this process and its ended children have computed."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def fewer(data: DataSet, queries: int | None) -> DataSet:
    """Return ``data`` with so many queries of ``dev``; all where there are no more."""
    asked = data.qrels["dev"]
    if queries is None or queries >= len(asked):
        return data
    kept = random.Random(0).sample(sorted(asked), queries)
    return data.with_qrels({**data.qrels, "dev": {qid: asked[qid] for qid in kept}})


def option(text: str) -> tuple[str, object]:
    """Read ``name=value``; the value is JSON where it can be, else text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def measured(
    kind: str,
    data: DataSet,
    home: Path,
    given: Mapping[str, object],
    candidates: int,
    queries: int | None = None,
) -> dict[str, object]:
    """Train once and prove on ``dev``, or on some of its queries."""
    shop = workshop(home=home, observe=lambda event: None)
    start = cpu_seconds()
    planned = plan(shop, Request(kind=kind, data=data.source, given=given, offline=True))
    made = train(shop, planned, fresh=True)
    trained = cpu_seconds() - start
    base = planned.plan.base
    judged = {"candidates": candidates, "first_stage": str(given["base"])}
    judged |= {"whole_corpus": 0} if kind == "colbert" else {}
    asked = fewer(data, queries)
    report = prove(shop, made.id, asked, split="dev", base=base, options=judged).report
    losses = [round(loss, 4) for _, loss in made.result.losses[-3:]]
    return {
        **given,
        **headline(report),
        "incumbent": report.incumbent,
        "losses": losses,
        "cpu_seconds_training": round(trained),
        "cpu_seconds": round(cpu_seconds() - start),
    }


def main() -> None:
    """Measure every rate in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("cross-encoder", "colbert"))
    parser.add_argument("set", help="one of the shared sets, as nl2bash")
    parser.add_argument("tuning", choices=("full", "lora"))
    parser.add_argument("rates", type=float, nargs="+")
    parser.add_argument("--steps", type=int, default=140)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--queries", type=int, help="of dev; all when not set")
    parser.add_argument("--option", type=option, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--home", type=Path, help="store; one that goes away when not set")
    asked = parser.parse_args()
    data = shared(asked.set)
    with tempfile.TemporaryDirectory() as home:
        for rate in asked.rates:
            given = {"tuning": asked.tuning, "learning_rate": rate, "max_steps": asked.steps}
            given |= {"base": asked.base, "device": asked.device, **dict(asked.option)}
            store = asked.home or Path(home)
            row = measured(asked.kind, data, store, given, asked.candidates, asked.queries)
            print(json.dumps({"kind": asked.kind, "set": asked.set, **row}), flush=True)


if __name__ == "__main__":
    main()
