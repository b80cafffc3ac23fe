"""Judgements: ``qrels/{train,dev,test}.tsv``."""

from __future__ import annotations

import math
from pathlib import Path

from ragd_tune.data.findings import BadRow, Findings
from ragd_tune.data.lines import lines
from ragd_tune.data.parts import SPLIT_NAMES, Parts, find

HEADER = "query-id\tcorpus-id\tscore"
_HEADER_MEND = f"put the line {HEADER!r} on top, with tabs between"


def read_judgements(folder: Path, parts: Parts, findings: Findings) -> None:
    """Read every split of a BEIR folder; a lone ``qrels.tsv`` has none and goes under ``""``."""
    files = _qrels_files(folder, findings)
    for path in files:
        stem = path.name.removesuffix(".gz").removesuffix(".tsv").lower()
        split = "" if path.parent == folder else SPLIT_NAMES.get(stem)
        if split is None:
            mend = "name it train.tsv, dev.tsv or test.tsv"
            findings.warning("unknown-split", "is no split; left out", path, mend=mend)
        elif split in parts.qrels:
            findings.error("two-files", f"is a second {split} split", path, mend="keep one")
        else:
            parts.qrels[split] = _qrels(path, parts, findings)
    if not any(parts.qrels.values()) and not findings.errors:
        mend = "write qrels/train.tsv, qrels/dev.tsv and qrels/test.tsv"
        findings.error("no-judgements", "no split says who answers whom", folder, mend=mend)


def _qrels_files(folder: Path, findings: Findings) -> list[Path]:
    inside = folder / "qrels"
    if inside.is_dir():
        return sorted(path for path in inside.iterdir() if ".tsv" in path.suffixes)
    single = find(folder, "qrels.tsv", findings)
    return [single] if single else []


def _qrels(path: Path, parts: Parts, findings: Findings) -> dict[str, dict[str, float]]:
    judged: dict[str, dict[str, float]] = {}
    seen: dict[tuple[str, str], tuple[float, int]] = {}
    rows = 0
    for number, text in lines(path, findings):
        rows += 1
        try:
            if rows == 1:
                _header(text)
                continue
            qid, did, score = _judgement(text, parts)
            earlier = seen.setdefault((qid, did), (score, number))
            if earlier[1] != number:
                _again(earlier, score, number, path, findings)
            elif score > 0:
                judged.setdefault(qid, {})[did] = score
                parts.places.note("judgement", qid, path, number)
            else:
                mend = "remove the row to silence this; nothing is lost"
                what = f"{did!r} is judged not relevant to {qid!r}; left out"
                findings.warning("zero-score", what, path, number, mend)
        except BadRow as bad:
            findings.bad_row(bad, path, number)
    if rows == 1:
        findings.warning("empty-split", "has no judgements; left out", path, 1, "fill or remove it")
    return judged


def _header(text: str) -> None:
    cells = text.split("\t")
    if len(cells) != 3 or not cells[0].lower().startswith("query"):
        what = f"is not the header of a qrels file: {text[:60]!r}"
        raise BadRow("missing-header", what, _HEADER_MEND)


def _again(
    earlier: tuple[float, int], score: float, number: int, path: Path, findings: Findings
) -> None:
    if earlier[0] == score:
        what = f"repeats line {earlier[1]}; left out"
        findings.warning("duplicate-judgement", what, path, number, "remove the row")
    else:
        what = f"gives {score:g} to what line {earlier[1]} gave {earlier[0]:g}"
        findings.error("contradiction", what, path, number, "keep one of the two")


def _judgement(text: str, parts: Parts) -> tuple[str, str, float]:
    cells = text.split("\t")
    if len(cells) != 3:
        what = f"has {len(cells)} columns, not 3 with tabs between: {text[:60]!r}"
        raise BadRow("bad-row", what, f"write {HEADER!r} with tabs between")
    qid, did, raw = cells
    for key, there, name in (
        (qid, qid in parts.queries, "queries"),
        (did, did in parts.corpus, "corpus"),
    ):
        if not there:
            what = f"the {name} file has no {key!r}"
            raise BadRow(f"unknown-{name}-id", what, f"add it to {name}.jsonl or remove the row")
    return qid, did, _score(raw)


def _score(raw: str) -> float:
    try:
        score = float(raw)
    except ValueError:
        raise BadRow("bad-score", f"the score {raw!r} is no number", "write 1 or above") from None
    if not math.isfinite(score) or score < 0:
        mend = "write 1 or above for relevant, 0 for not relevant"
        raise BadRow("bad-score", f"the score {raw!r} is no relevance", mend)
    return score
