"""One mining: what is loaded once, and blocks of queries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragd_tune.data.blocks import embedded
from ragd_tune.data.mine.dense import Dense, Vectors, embed_all
from ragd_tune.data.mine.lexical import Lexical
from ragd_tune.data.mine.select import Selector, rank_fusion
from ragd_tune.data.model import DataSet
from ragd_tune.errors import DataError, UsageError

if TYPE_CHECKING:
    from ragd_tune.data.cluster import Cluster
    from ragd_tune.data.generate.roundtrip import Embed
    from ragd_tune.data.mine.run import Mining, Progress, Rescore
    from ragd_tune.data.mine.spread import SpreadDense, SpreadLexical

    Looked = tuple[str, list[int], NDArray[np.float32] | None]
    """A query, its candidates, and its vector."""

EMBEDDED = 1024
"""Queries that are embedded together."""


class Work:
    """What a mining needs; :meth:`prepare` it before the first :meth:`block`."""

    def __init__(
        self,
        data: DataSet,
        asked: Mining,
        embed: Embed | None,
        rescore: Rescore | None,
        cluster: Cluster | None,
        progress: Progress,
    ) -> None:
        self.data, self.asked, self.embed = data, asked, embed
        self.rescore, self.cluster, self.progress = rescore, cluster, progress
        self.ids = list(data.corpus)
        self.queries = sorted({q for split in asked.splits for q in data.qrels.get(split, ())})
        if not self.queries:
            raise DataError(f"{data.source}: there are no queries to mine negatives for")
        if "dense" in asked.retrievers and embed is None:
            raise DataError("dense mining needs an embedder", mend="install one, or use --by bm25")
        if cluster is not None and asked.index == "approximate":
            raise UsageError("a cluster searches exactly", mend="leave --index or --ray out")
        self.places = {did: number for number, did in enumerate(self.ids)}
        self.dense: Dense | SpreadDense | None = None
        self.lexical: Lexical | SpreadLexical | None = None

    def id(self, encoder: str, teacher: str) -> str:
        """Return the sha256 of everything that the result depends on."""
        told = [self.data.fingerprint, asdict(self.asked), encoder, teacher]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def prepare(self, home: Path) -> None:
        """Embed the passages and build the indexes."""
        passages = [doc.passage for doc in self.data.corpus.values()]
        if "bm25" in self.asked.retrievers:
            self.progress("indexing words", 0.0)
            self.lexical = self._lexical(Lexical(passages))
        if self.embed is not None:
            vectors = embed_all(passages, self.embed, home, progress=self.progress)
            self.dense = self._dense(vectors)
        self.selector = Selector(self.data, self.asked.margin)

    def _lexical(self, index: Lexical) -> Lexical | SpreadLexical:
        if self.cluster is None:
            return index
        from ragd_tune.data.mine.spread import SpreadLexical

        return SpreadLexical(self.cluster, index)

    def _dense(self, vectors: Vectors) -> Dense | SpreadDense:
        if self.cluster is None:
            return Dense(vectors, index=self.asked.index)
        from ragd_tune.data.mine.spread import SpreadDense

        return SpreadDense(self.cluster, vectors)

    def block(self, qids: Sequence[str]) -> Iterator[tuple[str, dict[str, object]]]:
        """Yield the row of each query of a block."""
        texts = [self.data.queries[qid].text for qid in qids]
        asked = None
        if self.embed is not None:
            asked = np.concatenate([*embedded(self.embed, texts, "query", EMBEDDED)])
        rankings = self._rankings(texts, asked)
        looked = []
        for number, qid in enumerate(qids):
            fused = rank_fusion(*(ranking[number] for ranking in rankings))
            fused = fused if self.rescore is None else fused[: self.asked.depth]
            looked.append((qid, fused, asked[number] if asked is not None else None))
        numbers = [self._numbers(qid, fused) for qid, fused, _ in looked]
        for (qid, fused, _), scores in zip(looked, self._scores(looked, numbers), strict=True):
            yield qid, self._row(qid, fused, scores)

    def _numbers(self, qid: str, fused: Sequence[int]) -> list[int]:
        """Return the passages whose scores decide: candidates and answers."""
        relevant = sorted(self.selector.relevant(qid))
        return list(dict.fromkeys([*fused, *(self.places[did] for did in relevant)]))

    def _rankings(self, texts: Sequence[str], asked: Vectors | None) -> list[list[list[int]]]:
        depth, rankings = self.asked.depth, []
        if self.lexical is not None:
            rankings.append([row.tolist() for _, row in self.lexical.search(texts, depth)])
        if asked is not None and self.dense is not None and "dense" in self.asked.retrievers:
            _, found = self.dense.search(asked, depth)
            rankings.append([[one for one in row if one >= 0] for row in found.tolist()])
        return rankings

    def _row(self, qid: str, fused: list[int], scores: Mapping[int, float]) -> dict[str, object]:
        relevant = sorted(self.selector.relevant(qid))
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
        self, looked: Sequence[Looked], numbers: Sequence[Sequence[int]]
    ) -> Iterator[dict[int, float]]:
        """Yield what decides for each query: the teacher's scores, else cosines, else BM25."""
        if self.rescore is not None:
            yield from self._taught([qid for qid, _, _ in looked], numbers)
            return
        for (qid, _, vector), row in zip(looked, numbers, strict=True):
            found = self._own(self.data.queries[qid].text, row, vector)
            yield dict(zip(row, map(float, found), strict=True))

    def _taught(
        self, qids: Sequence[str], numbers: Sequence[Sequence[int]]
    ) -> Iterator[dict[int, float]]:
        asked = [
            (self.data.queries[qid].text, [self.data.corpus[self.ids[one]].passage for one in row])
            for qid, row in zip(qids, numbers, strict=True)
        ]
        assert self.rescore is not None
        many = getattr(self.rescore, "many", None)
        found = many(asked) if many else (self.rescore(*one) for one in asked)
        for row, scores in zip(numbers, found, strict=True):
            yield dict(zip(row, map(float, scores), strict=True))

    def _own(
        self, text: str, numbers: Sequence[int], vector: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        if vector is not None and self.dense is not None:
            rows = np.asarray(self.dense.passages[list(numbers)])
            return np.asarray(rows @ vector, np.float32)
        assert self.lexical is not None
        return self.lexical.score(text)[list(numbers)]
