"""Write a data set as a BEIR folder: the whole folder or nothing."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ragd_tune.data.model import DataSet
from ragd_tune.data.qrels import HEADER
from ragd_tune.data.read import read
from ragd_tune.errors import DataError, UsageError

SCHEMA = 1
_OWN = ("corpus.jsonl", "queries.jsonl", "negatives.jsonl", "scored.jsonl")
_BESIDE = ("passages.jsonl", "questions.jsonl", "teacher.jsonl")
RAFT = ("raft_train.jsonl", "raft_dev.jsonl", "raft_test.jsonl")
_FILES = (*_OWN, *_BESIDE)
_OURS = frozenset((*_FILES, *(f"{name}.gz" for name in _FILES), "dataset.json", "qrels"))

Tables = Mapping[str, Sequence[Mapping[str, object]]]
"""Rows of files that stand beside the data set and are no part of its fingerprint."""


def write(
    data: DataSet,
    folder: Path | str,
    *,
    force: bool = False,
    compress: bool = False,
    about: Mapping[str, object] | None = None,
    tables: Tables | None = None,
) -> Path:
    """Write ``data`` to ``folder`` in BEIR's layout, with ``dataset.json``; return the folder.

    It is written beside, synced, read back (the fingerprint must be the same) and renamed into
    place. ``about`` adds to what ``dataset.json`` says of the origin (source, licence).
    ``compress`` packs all but the judgements with gzip. ``tables`` are files that stand beside:
    places of passages, origins of questions, scores of a teacher, RAFT's examples.

    :raises UsageError: ``folder`` is there and ``force`` is not given, or it holds other files.
    :raises DataError: the data cannot be written in this layout.
    """
    folder = Path(folder)
    _may_replace(folder, force, tables or {})
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _fill(draft, data, compress, {**data.about, **(about or {})}, tables or {})
        _verify(draft, data)
        draft.chmod(0o755)
        _publish(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder


def must_be_free(folder: Path, force: bool) -> None:
    """Refuse a folder that holds something, unless ``force``: before hours are spent on it.

    :raises UsageError: names the folder.
    """
    if folder.is_dir() and any(folder.iterdir()) and not force:
        mend = "name another folder, or give --force to replace it"
        raise UsageError(f"{folder} is there already", mend=mend)


def _may_replace(folder: Path, force: bool, tables: Tables) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"{folder} is there and is no folder", mend="name another folder")
    must_be_free(folder, force)
    names = sorted(path.name for path in folder.iterdir())
    brought = {f"{name}{ending}" for name in tables for ending in ("", ".gz")}
    others = [name for name in names if name not in _OURS | brought]
    others += [f"qrels/{path.name}" for path in _qrels(folder) if path.suffix != ".tsv"]
    if others:
        what = f"{folder} holds what this command does not write: {', '.join(others[:5])}"
        raise UsageError(what, mend="name another folder: replacing it would lose those files")


def _qrels(folder: Path) -> list[Path]:
    inside = folder / "qrels"
    return sorted(inside.iterdir()) if inside.is_dir() else []


def _fill(
    draft: Path, data: DataSet, compress: bool, about: Mapping[str, object], tables: Tables
) -> None:
    parts: dict[str, dict[str, object]] = {}
    ending = ".gz" if compress else ""
    unknown = set(tables) - {*_BESIDE, *RAFT}
    if unknown:
        raise ValueError(f"no files of a data set: {sorted(unknown)}")
    for name, rows in {**_tables(data), **tables}.items():
        if rows:
            lines = [json.dumps(row, ensure_ascii=False) for row in rows]
            parts[name + ending] = _save(draft / (name + ending), lines)
    (draft / "qrels").mkdir()
    for split, judged in data.qrels.items():
        lines = [HEADER]
        for qid, found in judged.items():
            lines += [f"{qid}\t{did}\t{_number(score)}" for did, score in found.items()]
        parts[f"qrels/{split}.tsv"] = _save(draft / "qrels" / f"{split}.tsv", lines, header=1)
    _sync_folder(draft / "qrels")
    text = json.dumps(_about(data, parts, about), ensure_ascii=False, indent=1, sort_keys=True)
    _save(draft / "dataset.json", [text])
    _sync_folder(draft)


def _tables(data: DataSet) -> dict[str, Sequence[Mapping[str, object]]]:
    return {
        "corpus.jsonl": [
            {
                "_id": doc.id,
                "title": doc.title,
                "text": doc.text,
                **_filled(document=doc.document, group=doc.group),
            }
            for doc in data.corpus.values()
        ],
        "queries.jsonl": [
            {"_id": query.id, "text": query.text, **_filled(group=query.group)}
            for query in data.queries.values()
        ],
        "negatives.jsonl": [
            {"query_id": qid, "negatives": list(data.negatives.get(qid, ())), **_texts(data, qid)}
            for qid in {**data.negatives, **data.written}
        ],
        "scored.jsonl": [
            {"text1": pair.text1, "text2": pair.text2, "score": pair.score, "split": pair.split}
            for pair in data.scored
        ],
    }


def _texts(data: DataSet, qid: str) -> dict[str, object]:
    written = data.written.get(qid)
    return {"written": list(written)} if written else {}


def _filled(**values: str) -> dict[str, object]:
    return {name: value for name, value in values.items() if value}


def _number(score: float) -> str:
    return str(int(score)) if score == int(score) else repr(float(score))


def _save(path: Path, lines: Iterable[str], header: int = 0) -> dict[str, object]:
    """Write and sync one file; return its rows and the sha256 of its bytes."""
    rows = list(lines)
    content = "".join(f"{line}\n" for line in rows).encode("utf-8")
    if path.suffix == ".gz":
        # No time and no name inside, so that the same data gives the same bytes.
        content = gzip.compress(content, mtime=0)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return {"rows": len(rows) - header, "sha256": hashlib.sha256(content).hexdigest()}


def _about(
    data: DataSet, parts: Mapping[str, object], about: Mapping[str, object]
) -> dict[str, object]:
    counts = {
        "documents": len(data.corpus),
        "queries": {split: len(judged) for split, judged in data.qrels.items()},
        "pairs": {
            split: sum(len(found) for found in judged.values())
            for split, judged in data.qrels.items()
        },
        "negatives": sum(len(dids) for dids in data.negatives.values()),
        "scored": len(data.scored),
    }
    made = {"schema": SCHEMA, "fingerprint": data.fingerprint, "counts": counts, "parts": parts}
    return {"source": data.source.name, **about, **made}


def _verify(draft: Path, data: DataSet) -> None:
    again = read(draft)
    if again.fingerprint != data.fingerprint:
        what = "the data set cannot be written: read back, it is another one"
        raise DataError(what, mend="remove empty and repeated rows (ragd-tune data check)")


def _publish(draft: Path, folder: Path) -> None:
    """Rename ``draft`` to ``folder``: an old one goes aside first and comes back on failure."""
    aside = Path(f"{draft}-old")
    replaced = folder.exists()
    if replaced:
        folder.rename(aside)
    try:
        draft.rename(folder)
    except OSError:
        if replaced:
            aside.rename(folder)
        raise
    _sync_folder(folder.parent)
    if replaced:
        shutil.rmtree(aside, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Sync a folder's entries; Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
