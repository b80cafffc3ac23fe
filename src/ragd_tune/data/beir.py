"""BEIR's layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/{train,dev,test}.tsv``."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.data.findings import BadRow, Findings
from ragd_tune.data.model import Document, Query
from ragd_tune.data.parts import Parts, find, scored_pair
from ragd_tune.data.qrels import read_judgements
from ragd_tune.data.rows import Row, jsonl


def read_beir(folder: Path, findings: Findings) -> Parts:
    """Read a BEIR folder; faults become findings. Splits that have no name are under ``""``."""
    parts = Parts()
    names = ("corpus.jsonl", "queries.jsonl")
    scored = find(folder, "scored.jsonl", findings)
    if scored and not any(find(folder, name, findings) for name in names):
        _scored(scored, parts, findings)
        return parts
    corpus, queries = (_needed(folder, name, findings) for name in names)
    if corpus:
        _corpus(corpus, parts, findings)
    if queries:
        _queries(queries, parts, findings)
    if not findings.errors:
        # Judgements are held against the ids: a corpus that could not be read would make every
        # one of them look unknown.
        read_judgements(folder, parts, findings)
        _negatives(find(folder, "negatives.jsonl", findings), parts, findings)
        _scored(scored, parts, findings)
    return parts


def _needed(folder: Path, name: str, findings: Findings) -> Path | None:
    path = find(folder, name, findings)
    if path is None:
        mend = "a BEIR folder has corpus.jsonl, queries.jsonl and qrels/*.tsv"
        findings.error("missing-file", "no such file", folder / name, mend=mend)
    return path


def _corpus(path: Path, parts: Parts, findings: Findings) -> None:
    for row in jsonl(path, findings):
        try:
            document = Document(
                id=row.identity("_id", "id"),
                title=row.optional("title"),
                text=_present(row),
                document=row.optional("document"),
                group=row.optional("group"),
            )
            _once("corpus", document.id, document.id in parts.corpus, parts)
        except BadRow as bad:
            findings.bad_row(bad, path, row.line)
            continue
        parts.corpus[document.id] = document
        parts.places.note("corpus", document.id, path, row.line)
    if not parts.corpus and not findings.errors:
        findings.error("empty-file", "has no documents", path, 1, "write one document a line")


def _present(row: Row) -> str:
    """Return a passage's text: it may be empty, as some published corpora's are, but not absent."""
    return row.optional("text") if isinstance(row.values.get("text"), str) else row.text("text")


def _once(kind: str, key: str, there: bool, parts: Parts) -> None:
    if there:
        first = parts.places.name("corpus" if kind == "corpus" else "query", key)
        what = f"the id {key!r} stands already at {first}"
        raise BadRow("duplicate-id", what, "give every row an id of its own")


def _queries(path: Path, parts: Parts, findings: Findings) -> None:
    for row in jsonl(path, findings):
        try:
            query = Query(
                id=row.identity("_id", "id"), text=row.text("text"), group=row.optional("group")
            )
            _once("query", query.id, query.id in parts.queries, parts)
        except BadRow as bad:
            findings.bad_row(bad, path, row.line)
            continue
        parts.queries[query.id] = query
        parts.places.note("query", query.id, path, row.line)
    if not parts.queries and not findings.errors:
        findings.error("empty-file", "has no queries", path, 1, "write one query a line")


def _negatives(path: Path | None, parts: Parts, findings: Findings) -> None:
    for row in jsonl(path, findings) if path else ():
        try:
            qid = row.identity("query_id")
            _may_have_negatives(qid, parts)
            parts.negatives[qid] = _negative_ids(qid, row, parts, path, findings)
            parts.written[qid] = _texts(row)
            parts.places.note("negatives", qid, path or "", row.line)
        except BadRow as bad:
            findings.bad_row(bad, path or "", row.line)


def _may_have_negatives(qid: str, parts: Parts) -> None:
    if qid not in parts.queries or qid in parts.negatives:
        why = "stands twice" if qid in parts.negatives else "is not in the queries file"
        raise BadRow("bad-negatives", f"the query {qid!r} {why}", "correct the row")


def _negative_ids(
    qid: str, row: Row, parts: Parts, path: Path | None, findings: Findings
) -> tuple[str, ...]:
    given = row.values.get("negatives")
    if not isinstance(given, list):
        raise BadRow("wrong-type", "'negatives' is not a list", "write a list of corpus ids")
    ids = tuple(str(did) for did in given)
    for did in ids:
        if did not in parts.corpus:
            what = f"the corpus file has no {did!r}"
            raise BadRow("unknown-corpus-id", what, "add it to corpus.jsonl or remove it here")
    wrong = {did for split in parts.qrels.values() for did in split.get(qid, ()) if did in ids}
    if wrong:
        what = f"{min(wrong)!r} answers {qid!r} and is called a negative; left out"
        findings.warning("negative-is-relevant", what, path or "", row.line, "remove it here")
    return tuple(did for did in ids if did not in wrong)


def _texts(row: Row) -> tuple[str, ...]:
    """Return negatives that stand in no corpus."""
    given = row.values.get("written", [])
    if not isinstance(given, list) or not all(isinstance(t, str) and t.strip() for t in given):
        raise BadRow("wrong-type", "'written' is no list of texts", "write a list of passages")
    return tuple(given)


def _scored(path: Path | None, parts: Parts, findings: Findings) -> None:
    """Read ``scored.jsonl``: two texts, a score in [0, 1] and, optionally, a split."""
    for row in jsonl(path, findings) if path else ():
        try:
            parts.scored.append(scored_pair(row, row.optional("split") or "train"))
        except BadRow as bad:
            findings.bad_row(bad, path or "", row.line)
