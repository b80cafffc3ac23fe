"""RAFT's reference formats, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.data import DataSet, read, split, write
from ragd_tune.data.raft import Contexts, Mix, answered, read_examples, write_format
from ragd_tune.data.raft.build import lexical_search
from ragd_tune.data.raft.convert import dealt, from_reference
from ragd_tune.data.raft.files import path_of
from ragd_tune.data.write import must_be_free
from ragd_tune.errors import DataError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What was written: ``counts`` are examples by split, ``dropped`` rows by reason."""

    out: Path
    counts: Mapping[str, int]
    dropped: Mapping[str, int]


def take_over(
    path: Path,
    out: Path,
    *,
    dev: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    force: bool = False,
) -> Converted:
    """Make a data set of a file in one of RAFT's reference formats, split by document.

    :raises DataError: it is in none of them, or cannot be split as asked.
    :raises UsageError: ``out`` is there already.
    """
    must_be_free(out, force)
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder: RAFT's reference formats are files",
            mend="--to hf, completion or chat writes such a file from a data set",
        )
    taken = from_reference(path)
    data = split(taken.data, seed=seed, dev=dev, test=test)
    tables = dealt(taken.examples, data)
    write(data, out, force=force, tables=tables)
    counts = {name[len("raft_") : -len(".jsonl")]: len(rows) for name, rows in tables.items()}
    return Converted(out=out, counts=counts, dropped=taken.dropped)


def hand_on(
    path: Path,
    out: Path,
    form: str,
    *,
    side: str = "train",
    mix: Mix | None = None,
    system: str = "",
    force: bool = False,
) -> Converted:
    """Write the examples of one split of a data set in one of RAFT's reference formats.

    Contexts are those that training shows: the oracle among distractors for a share of them.

    :raises DataError: that split has no answers.
    :raises UsageError: ``out`` is there already, or there is no such format.
    """
    if out.exists() and (out.is_dir() or not force):
        raise UsageError(f"{out} is there already", mend="name another file, or give --force")
    data = read(path)
    examples = answered(data, side)
    if not examples:
        raise DataError(
            f"{path}: no question of {side} has an answer",
            mend=f"put them into raft_{side}.jsonl: question, oracle, answer",
        )
    contexts = Contexts(data=data, search=lexical_search(data), mix=mix or Mix()).train(examples)
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = ((examples[qid], context) for qid, context in contexts.items())
    count = write_format(out, rows, form, system=system)
    return Converted(out=out, counts={side: count}, dropped={})


def split_again(data: DataSet, folder: Path) -> dict[str, list[Mapping[str, object]]]:
    """Return RAFT's examples of the data set in ``folder``, dealt to the new splits of ``data``."""
    paths = [path_of(folder, name) for name in ("train", "dev", "test")]
    return dealt((one for path in paths if path for one in read_examples(path).examples), data)
