"""``raft_{train,dev,test}.jsonl[.gz]``: read, checked, written."""

from __future__ import annotations

import gzip
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ragd_tune.data.model import DataSet
from ragd_tune.data.raft.example import Example, Examples, key
from ragd_tune.errors import DataError

_log = logging.getLogger(__name__)

MISQUOTED = "a quote that is not in the oracle word for word"
EMPTY = "no question, no oracle or no answer"


def path_of(folder: Path, split: str) -> Path | None:
    """Return the file of ``split`` in ``folder``, packed or not; None if there is none."""
    names = (f"raft_{split}.jsonl", f"raft_{split}.jsonl.gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_examples(path: Path, *, drop: bool = False) -> Examples:
    """Read and check one file.

    :param drop: leave out examples that break a rule, and count them.
    :raises DataError: one does and ``drop`` is off, or a line is no example; names file and line.
    """
    kept: list[Example] = []
    dropped: Counter[str] = Counter()
    for number, raw in lines(path):
        one = _example(raw, f"{path}:{number}")
        wrong = broken_rule(one)
        if not wrong:
            kept.append(one)
        elif drop:
            dropped[wrong] += 1
        else:
            shown = f": {one.misquoted[:80]!r}" if wrong == MISQUOTED else ""
            raise DataError(
                f"{path}:{number}: {wrong}{shown}",
                mend="mend the example, or leave such ones out by --misquoted drop",
            )
    return Examples(examples=kept, dropped=dict(dropped))


def answered(data: DataSet, split: str, *, drop: bool = False) -> dict[str, Example]:
    """Return the examples of a split's queries by query id, those without an answer left out."""
    path = path_of(Path(data.source), split)
    if path is None:
        return {}
    found = read_examples(path, drop=drop)
    for rule, count in found.dropped.items():
        _log.warning("%s: %d examples were left out: %s", path.name, count, rule)
    known = found.by_question()
    asked = {qid: key(data.queries[qid].text) for qid in data.qrels.get(split, {})}
    return {qid: known[text] for qid, text in asked.items() if text in known}


def broken_rule(one: Example) -> str:
    """Return the rule that an example breaks; empty if it is sound."""
    if not one.question.strip() or not one.answer.strip() or not any(map(str.strip, one.oracle)):
        return EMPTY
    return MISQUOTED if one.misquoted else ""


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write examples into one file, whole or not at all; a name that ends in .gz is packed."""
    lines = (json.dumps(row_of(one), ensure_ascii=False) + "\n" for one in examples)
    data = "".join(lines).encode()
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    part.replace(path)


def row_of(one: Example) -> dict[str, object]:
    """Return the object that a line holds, JSON-shaped."""
    made: dict[str, object] = {
        "question": one.question,
        "oracle_ids": list(one.oracle_ids),
        "oracle": list(one.oracle),
        "answer": one.answer,
    }
    if one.reasoning:
        made["reasoning"] = one.reasoning
    if one.distractors:
        made["distractors"] = list(one.distractors)
    return made


def lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield number and object of each line of a JSONL file.

    :raises DataError: a line is no object, or the file cannot be read; names file and line.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}", mend="write it as UTF-8") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: is not JSON: {error}") from error
        if not isinstance(raw, dict):
            raise DataError(f"{path}:{number}: is no object")
        yield number, raw


def _example(raw: dict[str, object], where: str) -> Example:
    def text(name: str) -> str:
        found = raw.get(name, "")
        if not isinstance(found, str):
            raise DataError(f"{where}: {name!r} is no text")
        return found

    def texts(name: str) -> tuple[str, ...]:
        found = raw.get(name, [])
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise DataError(f"{where}: {name!r} is no list of texts")
        return tuple(found)

    return Example(
        question=text("question"),
        answer=text("answer"),
        oracle=texts("oracle"),
        oracle_ids=texts("oracle_ids"),
        reasoning=text("reasoning"),
        distractors=texts("distractors"),
    )
