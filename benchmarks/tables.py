"""What the benchmarks of training data share: train one data set, prove it, and make a row of it.

They run from a checkout too: ``src`` and the plugins' sources are put on the path.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _from_checkout() -> None:
    """Put the sources on the path, and their entry points where nothing is installed."""
    paths = [ROOT / "src", *sorted(ROOT.glob("plugins/*/src"))]
    try:
        metadata.distribution("ragd-tune-cpu")
    except metadata.PackageNotFoundError:
        site = Path(tempfile.mkdtemp())
        for project in ROOT.glob("plugins/*/pyproject.toml"):
            told = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
            entries = told["entry-points"]["ragd_tune"].items()
            info = site / f"{told['name'].replace('-', '_')}-0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: 0\n", "utf-8"
            )
            lines = "".join(f"{name} = {value}\n" for name, value in entries)
            (info / "entry_points.txt").write_text(f"[ragd_tune]\n{lines}", "utf-8")
        paths.append(site)
    sys.path[:0] = map(str, paths)
    # Training runs in a process of its own.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, paths), *([before] if before else [])])


_from_checkout()

from ragd_tune.data import DataSet, read  # noqa: E402 - the path comes first
from ragd_tune.pipeline import Request, plan, prove, train, workshop  # noqa: E402
from ragd_tune.pipeline.proving import headline  # noqa: E402

SETTINGS: Mapping[str, object] = {"tuning": "full", "epochs": 1.0, "batch_size": 32}


def shared(name: str) -> DataSet:
    """Return one of the shared sets; ``$RAGD_TUNE_DATA`` says where they are."""
    root = Path(os.environ.get("RAGD_TUNE_DATA") or ROOT.parent / "shared" / "data")
    return read(root / name)


def measured(
    folder: Path,
    home: Path,
    *,
    base: str,
    split: str,
    seed: int,
    given: Mapping[str, object],
    proof: DataSet | None = None,
) -> dict[str, object]:
    """Train a bi-encoder on the set in ``folder`` and compare it with its base on ``split``.

    ``proof`` is the set that holds the split, where ``folder`` does not.
    """
    shop = workshop(home=home, observe=lambda event: None)
    options = {**SETTINGS, **given, "base": base, "seed": seed}
    data = proof or read(folder)
    planned = plan(shop, Request(kind="bi-encoder", data=folder, given=options, offline=True))
    made = train(shop, planned, fresh=True)
    report = prove(shop, made.id, data, split=split, base=planned.plan.base).report
    told = headline(report)
    rows, seconds = len(planned.rows.train), round(made.result.seconds, 1)
    return {"set": folder.name, "seed": seed, "split": split, "rows": rows, "s": seconds, **told}


def training_flags(parser: argparse.ArgumentParser) -> None:
    """Add what bounds a training: a benchmark without a GPU takes ``lora`` and few steps."""
    parser.add_argument("--tuning", default="full", choices=["full", "lora"])
    parser.add_argument("--max-steps", type=int, help="so many steps, instead of an epoch")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any option of the training, such as learning_rate=5e-5; repeatable",
    )


def training_options(flags: argparse.Namespace) -> dict[str, object]:
    """Return the options that :func:`training_flags` asked for."""
    bounded = {} if flags.max_steps is None else {"max_steps": flags.max_steps}
    more = dict(one.split("=", 1) for one in flags.option)
    return {"tuning": flags.tuning, **bounded, **more}


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Return rows as a Markdown table."""
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    lines += [f"| {' | '.join(_cell(row.get(name)) for name in columns)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list) and len(value) == 2:
        return f"{value[0]:+.4f} … {value[1]:+.4f}"
    return str(value)
