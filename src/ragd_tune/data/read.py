"""Read a data set: a BEIR folder, a folder of pairs by split, or one file of pairs."""

from __future__ import annotations

import json
from pathlib import Path

from ragd_tune.data.beir import read_beir
from ragd_tune.data.findings import Finding, Findings, UnusableDataError
from ragd_tune.data.lines import is_data_file, raw_lines
from ragd_tune.data.model import DataSet
from ragd_tune.data.pairs import PairReader
from ragd_tune.data.parts import SPLIT_NAMES, Parts, find
from ragd_tune.errors import UsageError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
DEV, TEST = 0.1, 0.2
_PARTS = ("corpus.jsonl", "queries.jsonl", "scored.jsonl")
_LAYOUTS = (
    "give a folder with corpus.jsonl, queries.jsonl and qrels/, a folder with train/dev/test "
    "files of pairs, or one file of pairs: " + ", ".join(SUFFIXES) + ", each also as .gz"
)


def read(path: Path | str, *, seed: int = 0, dev: float = DEV, test: float = TEST) -> DataSet:
    """Read and check the data set at ``path``; see the layouts in the package's docstring.

    Data without splits is split by source document: ``dev`` and ``test`` are shares of the
    queries, ``seed`` decides which, and ``notes`` of the result says so. With too few queries to
    split, all are for training.

    :raises UnusableDataError: lists the first faults with file and line, and how many there are.
    """
    path, findings = Path(path), Findings()
    try:
        parts = _parts(path, findings)
    except OSError as error:  # a folder that may not be looked into, a name that is too long
        why = f"cannot be read: {error.strerror or error}"
        findings.error("unreadable-file", why, error.filename or path, mend="check your rights")
        parts = Parts()
    _empty_answers(parts, findings)
    findings.raise_errors(path)
    unsplit = parts.qrels.pop("", {})
    whole = bool(unsplit) and not parts.qrels
    for qid, judged in unsplit.items():
        parts.qrels.setdefault("train", {}).setdefault(qid, {}).update(judged)
    about = _about(path, findings)
    data = DataSet.of(
        corpus=parts.corpus,
        queries=parts.queries,
        qrels=parts.qrels,
        negatives=parts.negatives,
        written=parts.written,
        scored=tuple(parts.scored),
        source=path,
        about=about,
        notes=findings.sorted(),
        places=parts.places,
    )
    if whole:
        return _split(data, seed=seed, dev=dev, test=test)
    return _compared(data)


def _parts(path: Path, findings: Findings) -> Parts:
    if not path.is_dir():
        return _one_file(path, findings)
    if any(find(path, name, findings) for name in _PARTS):
        return read_beir(path, findings)
    found = sorted(file for file in path.iterdir() if _suffix(file) and file.name != "dataset.json")
    splits = {file: SPLIT_NAMES.get(_stem(file).lower(), "") for file in found}
    named = [file for file in found if splits[file]]
    if not named and len(found) != 1:
        names = ", ".join(file.name for file in found[:5]) or "no data file"
        findings.error("unknown-layout", f"is no data set ({names})", path, mend=_LAYOUTS)
        return Parts()
    reader = PairReader(findings)
    for file in named or found:
        reader.read(file, splits[file])
    return reader.finish()


def _one_file(path: Path, findings: Findings) -> Parts:
    if is_data_file(path, findings) and not _suffix(path):
        findings.error("unknown-layout", "is no kind of file read here", path, mend=_LAYOUTS)
    if findings.errors:
        return Parts()
    reader = PairReader(findings)
    reader.read(path)
    return reader.finish()


def _suffix(path: Path) -> str:
    name = path.name.removesuffix(".gz").lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _empty_answers(parts: Parts, findings: Findings) -> None:
    """A passage may be empty only if nothing is learnt from it."""
    empty = {did for did, doc in parts.corpus.items() if not doc.passage.strip()}
    answering = {
        did for split in parts.qrels.values() for judged in split.values() for did in judged
    }
    for did in sorted(empty):
        file, line = parts.places.find("corpus", did)
        if did in answering:
            what = f"the document {did!r} is empty and answers a query"
            findings.error("empty-text", what, file, line, "fill it or remove its judgements")
        else:
            what = f"the document {did!r} is empty"
            findings.warning("empty-text", what, file, line, "fill it or remove it")


def _about(path: Path, findings: Findings) -> dict[str, object]:
    """Return what ``dataset.json`` says; it is provenance, so a damaged one is only told."""
    file = path / "dataset.json"
    if not file.is_file():
        return {}
    try:
        made = json.loads(b"".join(raw for _, raw in raw_lines(file, Findings())))
    except (ValueError, RecursionError):
        made = None
    if isinstance(made, dict):
        return made
    findings.warning("bad-dataset-json", "is not a JSON object; left out", file, 1, "remove it")
    return {}


def _compared(data: DataSet) -> DataSet:
    said = data.about.get("fingerprint")
    if said in (None, data.fingerprint):
        return data
    what = "the files have changed since dataset.json was written"
    mend = "write the data set again, or remove dataset.json"
    return _noted(data, "changed-since-written", what, mend, level="warning")


def _split(data: DataSet, **options: float) -> DataSet:
    from ragd_tune.data.split import split

    seed, dev, test = int(options["seed"]), options["dev"], options["test"]
    try:
        made = split(data, seed=seed, dev=dev, test=test)
    except (UnusableDataError, UsageError) as error:
        what = f"has no splits and cannot be split, so all of it is for training: {error.message}"
        return _noted(data, "not-split", what, "add data, or give splits of your own", "warning")
    counts = ", ".join(f"{name} {len(rows)}" for name, rows in made.qrels.items())
    what = f"has no splits: split here by source document with seed {seed} ({counts})"
    return _noted(made, "split-here", what, "give train, dev and test files to decide yourself")


def _noted(data: DataSet, code: str, message: str, mend: str, level: str = "info") -> DataSet:
    file = str(data.source)
    note = Finding(level=level, code=code, message=message, file=file, mend=mend)  # type: ignore[arg-type]
    return data.with_qrels(data.qrels, notes=(note,))
