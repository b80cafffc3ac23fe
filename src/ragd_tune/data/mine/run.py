"""Mine hard negatives: candidates by BM25 and vectors, filtered, the hardest kept, with scores."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragd_tune.data.journal import Journal
from ragd_tune.data.mine.dense import Dense, Index, Vectors, embed_all
from ragd_tune.data.mine.lexical import Lexical
from ragd_tune.data.mine.select import REASONS, Selector, rank_fusion
from ragd_tune.data.model import DataSet
from ragd_tune.errors import DataError

if TYPE_CHECKING:
    from ragd_tune.data.generate.roundtrip import Embed

Progress = Callable[[str, float], None]
Rescore = Callable[[str, Sequence[str]], Sequence[float]]
"""A query and passages to scores, the higher the better: a cross-encoder."""

_QUERIES = 1024
_TAUGHT = 16
"""Queries between two writes where a teacher reads every candidate: minutes of a CPU, not hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mining:
    """How to mine.

    ``per_query`` negatives are kept of ``depth`` candidates of each retriever (``bm25``,
    ``dense``); a teacher reads the first ``depth`` of both together. ``margin`` is the share of the
    positive's score that a negative must stay below; None keeps everything (and then false
    negatives too). ``skip`` leaves out so many of the hardest that are left. ``index`` is as in
    :class:`ragd_tune.data.mine.dense.Dense`.
    """

    per_query: int = 4
    depth: int = 100
    margin: float | None = 0.95
    retrievers: tuple[str, ...] = ("bm25", "dense")
    skip: int = 0
    index: Index = "auto"
    splits: tuple[str, ...] = ("train", "dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """Negatives by query, the hardest first; a teacher's scores of positives and negatives.

    ``dropped`` counts candidates by reason, ``empty`` the queries that are left without negatives.
    """

    negatives: Mapping[str, tuple[str, ...]]
    teacher: Mapping[str, Mapping[str, float]]
    dropped: Mapping[str, int] = field(default_factory=dict)
    looked_at: int = 0
    empty: int = 0

    def to_json(self) -> dict[str, object]:
        """Return counts, JSON-shaped."""
        return {
            "queries": len(self.negatives) + self.empty,
            "negatives": sum(map(len, self.negatives.values())),
            "candidates": self.looked_at,
            "dropped": dict(self.dropped),
            "without": self.empty,
        }


def mine(
    data: DataSet,
    asked: Mining,
    folder: Path,
    *,
    embed: Embed | None = None,
    encoder: str = "",
    rescore: Rescore | None = None,
    teacher: str = "",
    progress: Progress = lambda text, done: None,
) -> Mined:
    """Return hard negatives of the queries of ``asked.splits``; those of test are never looked at.

    What is done is kept in ``folder``: the same call goes on where an earlier one was killed, and
    the result is the same. ``encoder`` and ``teacher`` name the models behind ``embed`` and
    ``rescore``; they are part of what makes a call the same.

    :raises DataError: there are no queries to mine for, or nothing to mine with.
    """
    work = _Work(data, asked, embed, rescore, progress)
    header = {"mining": work.id(encoder, teacher), "schema": 1}
    home = folder / str(header["mining"])[:16]
    with Journal(home / "mined.jsonl", header) as journal:
        left = [qid for qid in work.queries if qid not in journal]
        if left:
            work.prepare(home)
        size = _QUERIES if rescore is None else _TAUGHT
        for start in range(0, len(left), size):
            progress("mining", (len(work.queries) - len(left) + start) / len(work.queries))
            journal.extend(work.block(left[start : start + size]))
        return _gathered(journal, work.queries)


def _gathered(journal: Journal, queries: Sequence[str]) -> Mined:
    negatives: dict[str, tuple[str, ...]] = {}
    teacher: dict[str, Mapping[str, float]] = {}
    dropped: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    looked_at = 0
    for qid in queries:
        row: dict[str, object] = dict(journal.get(qid))
        found = row["negatives"]
        assert isinstance(found, list)
        if found:
            negatives[qid] = tuple(found)
        scores, counts, seen = row["scores"], row["dropped"], row["candidates"]
        assert isinstance(scores, dict)
        assert isinstance(counts, dict)
        assert isinstance(seen, int)
        teacher[qid] = scores
        dropped.update(counts)
        looked_at += seen
    return Mined(
        negatives=negatives,
        teacher=teacher,
        dropped=dict(dropped),
        looked_at=looked_at,
        empty=len(queries) - len(negatives),
    )


class _Work:
    """One mining: what is loaded once, and blocks of queries."""

    def __init__(
        self,
        data: DataSet,
        asked: Mining,
        embed: Embed | None,
        rescore: Rescore | None,
        progress: Progress,
    ) -> None:
        self.data, self.asked, self.embed = data, asked, embed
        self.rescore, self.progress = rescore, progress
        self.ids = list(data.corpus)
        self.queries = sorted({q for split in asked.splits for q in data.qrels.get(split, ())})
        if not self.queries:
            raise DataError(f"{data.source}: there are no queries to mine negatives for")
        if "dense" in asked.retrievers and embed is None:
            raise DataError("dense mining needs an embedder", mend="install one, or use --by bm25")
        self.places = {did: number for number, did in enumerate(self.ids)}
        self.dense: Dense | None = None
        self.lexical: Lexical | None = None

    def id(self, encoder: str, teacher: str) -> str:
        """Return the sha256 of everything that the result depends on."""
        told = [self.data.fingerprint, asdict(self.asked), encoder, teacher]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def prepare(self, home: Path) -> None:
        """Embed the passages and build the indexes."""
        passages = [doc.passage for doc in self.data.corpus.values()]
        if "bm25" in self.asked.retrievers:
            self.progress("indexing words", 0.0)
            self.lexical = Lexical(passages)
        if self.embed is not None:
            vectors = embed_all(passages, self.embed, home, progress=self.progress)
            self.dense = Dense(vectors, index=self.asked.index)
        self.selector = Selector(self.data, self.asked.margin)

    def block(self, qids: Sequence[str]) -> Iterator[tuple[str, dict[str, object]]]:
        """Yield the row of each query of a block."""
        texts = [self.data.queries[qid].text for qid in qids]
        asked = self.embed(texts, "query") if self.embed is not None else None
        rankings = self._rankings(texts, asked)
        for number, qid in enumerate(qids):
            fused = rank_fusion(*(ranking[number] for ranking in rankings))
            fused = fused if self.rescore is None else fused[: self.asked.depth]
            vector = asked[number] if asked is not None else None
            yield qid, self._row(qid, fused, vector)

    def _rankings(self, texts: Sequence[str], asked: Vectors | None) -> list[list[list[int]]]:
        depth, rankings = self.asked.depth, []
        if self.lexical is not None:
            rankings.append([row.tolist() for _, row in self.lexical.search(texts, depth)])
        if asked is not None and self.dense is not None and "dense" in self.asked.retrievers:
            _, found = self.dense.search(asked, depth)
            rankings.append([[one for one in row if one >= 0] for row in found.tolist()])
        return rankings

    def _row(
        self, qid: str, fused: list[int], vector: NDArray[np.float32] | None
    ) -> dict[str, object]:
        relevant = sorted(self.selector.relevant(qid))
        numbers = list(dict.fromkeys([*fused, *(self.places[did] for did in relevant)]))
        scores = dict(zip(numbers, self._scores(qid, numbers, vector), strict=True))
        positive = min((scores[self.places[did]] for did in relevant), default=None)
        order = sorted(fused, key=lambda one: (-scores[one], self.ids[one]))
        self.selector.dropped.clear()
        kept = self.selector.keep(
            qid,
            ((self.ids[one], scores[one]) for one in order),
            positive,
            enough=self.asked.skip + self.asked.per_query,
        )
        chosen = [did for did, _ in kept[self.asked.skip :]]
        return {
            "negatives": chosen,
            "scores": {did: round(scores[self.places[did]], 6) for did in (*relevant, *chosen)},
            "dropped": dict(self.selector.dropped),
            "candidates": len(kept) + sum(self.selector.dropped.values()),
        }

    def _scores(
        self, qid: str, numbers: Sequence[int], vector: NDArray[np.float32] | None
    ) -> list[float]:
        """Return what decides: the teacher's scores, else cosines, else BM25."""
        text = self.data.queries[qid].text
        if self.rescore is not None:
            passages = [self.data.corpus[self.ids[one]].passage for one in numbers]
            return [float(score) for score in self.rescore(text, passages)]
        if vector is not None and self.dense is not None:
            rows = np.asarray(self.dense.passages[list(numbers)])
            return [float(score) for score in rows @ vector]
        assert self.lexical is not None
        return [float(score) for score in self.lexical.score(text)[list(numbers)]]
