"""Triplets in a file train by the command, and their negatives are really learned from."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.cli import run
from ragd_tune.pipeline import Request, plan, workshop
from ragd_tune.store import Store
from ragd_tune.testing.machine import Machine

ROWS = [
    (f"question {number} about apples", f"answer {number} of {number * 7}", f"wrong {number} again")
    for number in range(24)
]
NAMES = ("query", "positive", "negative")


def triplets(folder: Path, suffix: str) -> Path:
    """Write the rows as a file that holds nothing but triplets."""
    path = folder / f"triplets.{suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix == "csv":
            csv.writer(file).writerows([NAMES, *ROWS])
        else:
            lines = (json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS)
            file.writelines(f"{line}\n" for line in lines)
    return path


def first_loss(machine: Machine, capsys: pytest.CaptureFixture[str], *more: str) -> float:
    """Train one step by the command and return its loss."""
    code = run([*machine.train("--max-steps", "1", "--no-proof", "--fresh", "--json"), *more])
    assert code == 0
    told = json.loads(capsys.readouterr().out)
    (record,) = Store().records(told["id"], "provenance")
    losses: Any = record.payload["result"]
    return float(losses["losses"][0][1])


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_the_negative_of_a_triplet_stands_in_its_row_and_counts_in_the_loss(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str
) -> None:
    path = triplets(tmp_path, suffix)
    made = plan(
        workshop(), Request(kind="bi-encoder", data=path, given={"base": str(machine.base)})
    )
    wanted = {row[0]: row[2] for row in ROWS}
    for row in made.rows.train:
        assert row["negatives"] == [wanted[str(row["query"])]]
    on = ("--data", str(path))
    with_them, without = (
        first_loss(machine, capsys, *on, "--negatives", count) for count in ("1", "0")
    )
    assert with_them > without, "each negative adds to the softmax"
