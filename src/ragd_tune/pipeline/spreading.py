"""Models on the machines of a cluster: each loads its own, and it must be the very same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ragd_tune.data.blocks import BLOCK, Spread
from ragd_tune.data.cluster import Cluster
from ragd_tune.errors import BaseMismatchError

if TYPE_CHECKING:
    from ragd_tune.serve.embedder import Embedder

Vectors = NDArray[np.float32]
_PAIRS = 4
"""Queries that a teacher takes at a time, with all their candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model by its name, its id, and where this machine keeps its adapters.

    An adapter is looked for in the same folder on every machine: the store has to lie where all of
    them see it. A base is found there as it is here: by its path, or from the hub.
    """

    name: str
    id: str
    home: str
    adapter: bool = False
    offline: bool | None = None

    @classmethod
    def of(cls, name: str, known: str, home: Path, *, adapter: bool, offline: bool | None) -> Model:
        """Return the model ``name`` with the id ``known``; a folder by its whole path."""
        place = str(Path(name).resolve()) if Path(name).is_dir() else name
        return cls(name=place, id=known, home=str(home), adapter=adapter, offline=offline)

    def same(self, found: str) -> None:
        """Refuse another model of the same name.

        :raises BaseMismatchError: ``found``, the id of what was loaded, is another.
        """
        if found != self.id:
            raise BaseMismatchError(
                f"{self.name} is another model on a machine of the cluster ({found[:12]} there, "
                f"{self.id[:12]} here)",
                mend="give it as a path that every machine sees",
            )


class SpreadEmbed(Spread):
    """Embeds texts on a cluster: on its GPUs where it has any, else on its CPUs."""

    def __init__(self, cluster: Cluster, model: Model) -> None:
        self._cluster, self._model = cluster, model

    def __call__(self, texts: Sequence[str], role: str) -> Vectors:
        """Return unit vectors of ``texts`` in their order: float32 (n, dimension)."""
        return np.concatenate([*self.blocks(texts, role, BLOCK)])

    def blocks(self, texts: Sequence[str], role: str, block: int) -> Iterator[Vectors]:
        """Yield the vectors some at a time."""
        make = partial(_Embedding, self._model, role)
        for made in self._cluster.map(make, list(texts), block=block, gpu=True):
            yield np.ascontiguousarray(made["vectors"], np.float32)


class SpreadTeacher:
    """Scores passages by a reranker on a cluster."""

    def __init__(self, cluster: Cluster, model: Model) -> None:
        self._cluster, self._model = cluster, model

    def __call__(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """Return the scores of one query's passages."""
        return next(self.many([(query, passages)]))

    def many(self, asked: Sequence[tuple[str, Sequence[str]]]) -> Iterator[list[float]]:
        """Yield the scores of each query's passages, in the order of ``asked``."""
        items = [json.dumps([query, list(passages)]) for query, passages in asked]
        make = partial(_Teaching, self._model)
        for made in self._cluster.map(make, items, block=_PAIRS, gpu=True):
            for row in made["scores"]:
                yield json.loads(str(row))


class _Embedding:
    """Holds the embedder of one worker."""

    def __init__(self, model: Model, role: str) -> None:
        from ragd_tune.pipeline.mining import embed_with
        from ragd_tune.serve.load import load, load_base

        home = Path(model.home)
        self.embedder: Embedder = (
            load(model.name, slot="embedder", home=home, offline=model.offline)
            if model.adapter
            else load_base(model.name, home=home, offline=model.offline)
        )
        model.same(self.embedder.id)
        self._embed, self._role = embed_with(self.embedder), role

    def __call__(self, texts: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {"vectors": self._embed([str(one) for one in texts], self._role)}


class _Teaching:
    """Holds the reranker of one worker."""

    def __init__(self, model: Model) -> None:
        from ragd_tune.pipeline.teaching import find_teacher, must_be_trained, scores_by
        from ragd_tune.pipeline.workshop import workshop

        shop = workshop(home=Path(model.home))
        reranker = find_teacher(shop, model.name, offline=model.offline)
        model.same(reranker.id)
        must_be_trained(reranker, model.name)
        self._scores = scores_by(reranker)

    def __call__(self, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        asked = [json.loads(str(one)) for one in rows]
        scores = [json.dumps([*self._scores(query, passages)]) for query, passages in asked]
        return {"scores": np.array(scores, dtype=object)}
