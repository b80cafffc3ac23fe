"""The single checks: each looks at one thing and adds its findings."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from ragd_tune.data.findings import Finding, Findings, Level
from ragd_tune.data.leaks import Leak
from ragd_tune.data.model import SPLITS, DataSet, Kind
from ragd_tune.data.text import fold


def _add(
    found: Findings,
    data: DataSet,
    level: Level,
    code: str,
    kind: Kind,
    key: str,
    what: str,
    mend: str,
) -> None:
    file, line = data.places.find(kind, key)
    found.add(
        Finding(
            level=level,
            code=code,
            message=what,
            file=file or str(data.source),
            line=line,
            mend=mend,
        )
    )


def ids(data: DataSet, found: Findings) -> None:
    """A data set that was read has no unknown ids; one made in Python may."""
    for split, judged in data.qrels.items():
        if split not in SPLITS:
            what = f"{split!r} is no split"
            _add(
                found, data, "error", "unknown-split", "judgement", "", what, "use train, dev, test"
            )
        for qid, docs in judged.items():
            _known(data, qid, docs, f"{split} judgements", "judgement", found)
    for qid, dids in data.negatives.items():
        _known(data, qid, dids, "negatives", "negatives", found)


def _known(
    data: DataSet, qid: str, dids: Iterable[str], where: str, kind: Kind, found: Findings
) -> None:
    if qid not in data.queries:
        what = f"the {where} name the query {qid!r}, which is not there"
        _add(found, data, "error", "unknown-queries-id", kind, qid, what, "add the query")
    for did in dids:
        if did not in data.corpus:
            what = f"the {where} of {qid!r} name the document {did!r}, which is not there"
            _add(found, data, "error", "unknown-corpus-id", kind, qid, what, "add the document")


def tell_leaks(data: DataSet, leaked: tuple[Leak, ...], level: Level, found: Findings) -> None:
    """Tell each leak, and where its like stands."""
    for leak in leaked:
        same = "the same query" if leak.kind == "same" else "nearly the same query, same answer,"
        where = data.places.name("query", leak.other)
        text = data.queries[leak.qid].text[:80]
        what = (
            f"{leak.split} query {leak.qid!r}: {same} is in {leak.other_split} at {where}: {text!r}"
        )
        mend = "remove one of the two; until then the proof leaves it out"
        _add(found, data, level, "leak", "query", leak.qid, what, mend)


def tell_similar(data: DataSet, pairs: tuple[Leak, ...], found: Findings) -> None:
    """Tell queries that look like a leak and are none."""
    for pair in pairs:
        where = data.places.name("query", pair.other)
        what = (
            f"{pair.split} query {pair.qid!r} is one edit from {pair.other!r} in "
            f"{pair.other_split} ({where}), with another answer; no leak"
        )
        _add(
            found,
            data,
            "info",
            "similar-query",
            "query",
            pair.qid,
            what,
            "look whether they differ",
        )


def texts(data: DataSet, found: Findings) -> None:
    """Tell empty texts, and those that are binary or were decoded wrongly."""
    rows: list[tuple[Kind, str, str]] = [
        *(("corpus", doc.id, doc.passage) for doc in data.corpus.values()),
        *(("query", query.id, query.text) for query in data.queries.values()),
    ]
    for kind, key, text in rows:
        if not text.strip() and not _noted(data, key):
            what = f"{key!r} is empty"
            _add(found, data, "warning", "empty-text", kind, key, what, "fill it or remove it")
        elif not text.isprintable() and _binary(text):
            what = f"{key!r} looks binary or wrongly decoded: {text[:40]!r}"
            _add(
                found,
                data,
                "warning",
                "binary-text",
                kind,
                key,
                what,
                "remove it or decode it again",
            )


def _noted(data: DataSet, key: str) -> bool:
    return any(note.code == "empty-text" and repr(key) in note.message for note in data.notes)


def _binary(text: str) -> bool:
    """Say whether more than 1 character in 20 is a control or stands for a failed decoding."""
    odd = sum(
        char == "\ufffd"
        or (unicodedata.category(char) in ("Cc", "Cn", "Co") and char not in "\n\r\t\f")
        for char in text
    )
    return odd * 20 > len(text)


def duplicates(data: DataSet, found: Findings) -> None:
    """Tell equal documents and equal queries; worse where only one of two is judged."""
    answering: dict[str, set[str]] = defaultdict(set)
    for judged in data.qrels.values():
        for qid, docs in judged.items():
            for did in docs:
                answering[did].add(qid)
    # Case counts in documents: two commands may differ by nothing else.
    passages = ((doc.id, " ".join(doc.passage.split())) for doc in data.corpus.values())
    for first, did in _repeats(passages):
        at = data.places.name("corpus", first)
        what = f"the document {did!r} has the text of {first!r} ({at})"
        odd = answering[first] ^ answering[did]
        if odd:
            what += f"; only one of them answers {min(odd)!r}, so the other is scored as wrong"
        level: Level = "warning" if odd else "info"
        mend = "remove one of the two, or judge both"
        _add(found, data, level, "duplicate-document", "corpus", did, what, mend)
    for first, qid in _repeats((query.id, fold(query.text)) for query in data.queries.values()):
        at = data.places.name("query", first)
        what = f"the query {qid!r} has the text of {first!r} ({at})"
        mend = "make them one query with several answers"
        _add(found, data, "info", "duplicate-query", "query", qid, what, mend)


def _repeats(rows: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    first: dict[str, str] = {}
    for key, text in rows:
        earlier = first.setdefault(text, key)
        if earlier != key and text:
            yield earlier, key


def near(data: DataSet, found: Findings) -> None:
    """Tell near-duplicate documents."""
    from ragd_tune.data.near import near_duplicates

    ids = list(data.corpus)
    for one, two, similarity in near_duplicates([data.corpus[did].passage for did in ids]):
        if similarity < 1:
            at = data.places.name("corpus", ids[one])
            what = f"the document {ids[two]!r} is nearly {ids[one]!r} ({at}; {similarity:.2f})"
            mend = "nothing, if both are wanted; our splitter keeps them together"
            _add(found, data, "info", "near-duplicate-document", "corpus", ids[two], what, mend)
