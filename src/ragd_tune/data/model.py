"""The data set as the rest of the program sees it: frozen, checked, fingerprinted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from ragd_tune.data.findings import Finding

SPLITS = ("train", "dev", "test")

Kind = Literal["corpus", "query", "judgement", "negatives", "scored"]
Qrels = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Split → query id → document id → relevance (above 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One passage of the corpus.

    ``document`` names the source document that the passage was cut from, ``group`` its topic;
    both may be empty.
    """

    id: str
    text: str
    title: str = ""
    document: str = ""
    group: str = ""

    @property
    def passage(self) -> str:
        """What a model reads: title, a space, text (BEIR's convention), or the text alone."""
        return f"{self.title} {self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query; ``group`` is its topic and may be empty."""

    id: str
    text: str
    group: str = ""


@dataclass(frozen=True, slots=True, order=True)
class ScoredPair:
    """Two texts and how similar they are, in [0, 1]."""

    text1: str
    text2: str
    score: float
    split: str = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A query, a document that answers it, and how relevant that is (above 0)."""

    query: Query
    document: Document
    score: float


class Places:
    """Where records came from, in a few bytes each."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._at: dict[tuple[Kind, str], int] = {}

    def note(self, kind: Kind, key: str, file: Path | str, line: int) -> None:
        """Remember that ``key`` stands at ``file:line``; the first place is kept."""
        number = self._files.setdefault(str(file), len(self._files))
        self._at.setdefault((kind, key), number << 40 | line)

    def find(self, kind: Kind, key: str) -> tuple[str, int | None]:
        """Return file and line of ``key``, or ``("", None)`` if it was not read from a file."""
        packed = self._at.get((kind, key))
        if packed is None:
            return "", None
        return list(self._files)[packed >> 40], packed & (1 << 40) - 1

    def name(self, kind: Kind, key: str) -> str:
        """Return ``file:line`` of ``key``, or the key itself."""
        file, line = self.find(kind, key)
        return f"{file}:{line}" if file else repr(key)


def _digest(
    corpus: Mapping[str, Document],
    queries: Mapping[str, Query],
    qrels: Qrels,
    negatives: Mapping[str, tuple[str, ...]],
    written: Mapping[str, tuple[str, ...]],
    scored: tuple[ScoredPair, ...],
) -> str:
    """Return the sha256 of the content as sorted JSON lines: no order, paths or packing in it."""
    sha = hashlib.sha256(b"ragd-tune data 1\n")

    def feed(*row: object) -> None:
        sha.update(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    for _, doc in sorted(corpus.items()):
        feed("d", doc.id, doc.title, doc.text, doc.document, doc.group)
    for _, query in sorted(queries.items()):
        feed("q", query.id, query.text, query.group)
    for split, judged in sorted(qrels.items()):
        for qid, found in sorted(judged.items()):
            feed("r", split, qid, sorted((did, float(score)) for did, score in found.items()))
    for qid, dids in sorted(negatives.items()):
        feed("n", qid, dids)
    for qid, texts in sorted(written.items()):
        feed("w", qid, texts)
    for pair in sorted(scored):
        feed("s", pair.split, pair.text1, pair.text2, float(pair.score))
    return sha.hexdigest()


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Documents, queries, who answers whom, and where it all came from.

    Build it with :meth:`of`, which computes ``fingerprint``: the sha256 of the content, the same
    for any order of rows, packing or folder. ``qrels`` holds the splits that are not empty,
    relevant documents only. ``negatives`` are ordered as given (hardest first, by habit).
    ``written`` are texts of further negatives that stand in no corpus: a language model's, say.
    They are trained on, and no search and no proof sees them.
    ``about`` is what ``dataset.json`` says of the origin; ``notes`` is what reading found.
    """

    corpus: Mapping[str, Document]
    queries: Mapping[str, Query]
    qrels: Qrels
    fingerprint: str
    negatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scored: tuple[ScoredPair, ...] = ()
    source: Path = field(default=Path(), compare=False)
    about: Mapping[str, object] = field(default_factory=dict, compare=False)
    notes: tuple[Finding, ...] = field(default=(), compare=False)
    places: Places = field(default_factory=Places, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        *,
        corpus: Mapping[str, Document],
        queries: Mapping[str, Query],
        qrels: Qrels,
        negatives: Mapping[str, tuple[str, ...]] | None = None,
        written: Mapping[str, tuple[str, ...]] | None = None,
        scored: tuple[ScoredPair, ...] = (),
        source: Path | str = Path(),
        about: Mapping[str, object] | None = None,
        notes: tuple[Finding, ...] = (),
        places: Places | None = None,
    ) -> DataSet:
        """Freeze the parts and compute the fingerprint; empty splits and lists are left out."""
        kept = {split: dict(rows) for split, rows in qrels.items() if rows}
        kept_negatives = {qid: dids for qid, dids in (negatives or {}).items() if dids}
        kept_written = {qid: texts for qid, texts in (written or {}).items() if texts}
        return cls(
            corpus=dict(corpus),
            queries=dict(queries),
            qrels=kept,
            negatives=kept_negatives,
            written=kept_written,
            scored=scored,
            fingerprint=_digest(corpus, queries, kept, kept_negatives, kept_written, scored),
            source=Path(source),
            about=dict(about or {}),
            notes=notes,
            places=places or Places(),
        )

    def with_qrels(self, qrels: Qrels, notes: tuple[Finding, ...] = ()) -> DataSet:
        """Return the same data under other splits; ``notes`` are added."""
        changed = DataSet.of(
            corpus=self.corpus,
            queries=self.queries,
            qrels=qrels,
            negatives=self.negatives,
            written=self.written,
            scored=self.scored,
        )
        return replace(
            changed,
            source=self.source,
            about=self.about,
            notes=self.notes + notes,
            places=self.places,
        )

    def without(self, gone: Collection[str]) -> DataSet:
        """Return the same data without the queries ``gone``, and what is said of them."""
        changed = DataSet.of(
            corpus=self.corpus,
            queries={qid: query for qid, query in self.queries.items() if qid not in gone},
            qrels={
                split: {qid: found for qid, found in judged.items() if qid not in gone}
                for split, judged in self.qrels.items()
            },
            negatives={qid: dids for qid, dids in self.negatives.items() if qid not in gone},
            written={qid: texts for qid, texts in self.written.items() if qid not in gone},
            scored=self.scored,
        )
        return replace(
            changed, source=self.source, about=self.about, notes=self.notes, places=self.places
        )

    def with_negatives(self, negatives: Mapping[str, tuple[str, ...]]) -> DataSet:
        """Return the same data with other explicit negatives, the hardest first."""
        changed = DataSet.of(
            corpus=self.corpus,
            queries=self.queries,
            qrels=self.qrels,
            negatives=negatives,
            written=self.written,
            scored=self.scored,
        )
        return replace(
            changed, source=self.source, about=self.about, notes=self.notes, places=self.places
        )

    def judges(self, split: str, *, scored: bool) -> bool:
        """Say whether ``split`` can judge a model; scored pairs count only where ``scored``."""
        if split in self.qrels:
            return True
        return scored and any(pair.split == split for pair in self.scored)

    def pairs(self, split: str) -> Iterator[Pair]:
        """Yield every relevant (query, document) of ``split``, in the order of the files."""
        for qid, judged in self.qrels.get(split, {}).items():
            for did, score in judged.items():
                yield Pair(query=self.queries[qid], document=self.corpus[did], score=score)

    @cached_property
    def _first(self) -> Mapping[str, str]:
        """The first passage of the same text as each passage: nothing can tell the two apart."""
        first: dict[str, str] = {}
        return {did: first.setdefault(doc.passage, did) for did, doc in self.corpus.items()}

    def unit(self, did: str) -> str:
        """Return the source document of a passage; the passage's own id where it has none.

        Passages of the same text are one passage.
        """
        same = self._first[did]
        return self.corpus[same].document or same

    @cached_property
    def trained_units(self) -> frozenset[str]:
        """Source documents that answer at least one training query."""
        train = self.qrels.get("train", {})
        return frozenset(self.unit(did) for judged in train.values() for did in judged)

    def known_and_new(self, split: str) -> tuple[frozenset[str], frozenset[str]]:
        """Part the queries of ``split`` into known and new.

        A query is new if none of the documents that answer it answers a training query, nor does
        any other passage of those documents. Known is no leak; it is reported apart.
        """
        seen = self.trained_units
        judged = self.qrels.get(split, {})
        known = frozenset(
            qid for qid, found in judged.items() if any(self.unit(did) in seen for did in found)
        )
        return known, frozenset(judged) - known

    def clusters(self, split: str) -> dict[str, str]:
        """Return a cluster for each query of ``split``: queries of one cluster depend on another.

        The query's ``group``; else the ``group`` or source of its documents; else the documents
        that it shares with other queries. Chains are followed.
        """
        from ragd_tune.data.groups import components

        judged = self.qrels.get(split, {})
        return components({qid: self._ties(qid, found) for qid, found in judged.items()})

    def _ties(self, qid: str, judged: Mapping[str, float]) -> list[tuple[str, str]]:
        group = self.queries[qid].group
        if group:
            return [("group", group)]
        ties = []
        for did in judged:
            first = self._first[did]
            doc = self.corpus[first]
            named = (("group", doc.group), ("document", doc.document), ("passage", first))
            ties.append(next(tie for tie in named if tie[1]))
        return ties
