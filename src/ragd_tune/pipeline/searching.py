"""Rerank, index and search by a ColBERT: by our own MaxSim, or by RAGatouille in its process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ragd_tune.backends import MultiVector, RerankRequest
from ragd_tune.errors import UsageError
from ragd_tune.pipeline.exporting import open_adapter
from ragd_tune.registry import Registry
from ragd_tune.serve import ServedModel
from ragd_tune.serve.ragatouille import Ragatouille
from ragd_tune.store import Entry, Store

BLOCK = 256
"""Documents embedded at once."""

Found = list[tuple[str, float]]


class Engine(Protocol):
    """What ranks documents. ``documents`` are texts by id; scores are MaxSim, the best first."""

    def rerank(self, query: str, documents: Mapping[str, str]) -> Found:
        """Return every document with its score."""
        ...

    def index(self, documents: Mapping[str, str], out: Path) -> Path:
        """Write an index of ``documents`` under ``out``; return what :meth:`search` takes."""
        ...

    def search(self, index: Path, queries: Sequence[str], k: int) -> list[Found]:
        """Return the ``k`` best documents of each query."""
        ...

    def close(self) -> None:
        """Give memory and processes back."""
        ...


def sorted_by_score(ids: Sequence[str], scores: Sequence[float]) -> Found:
    """Return documents with their scores, the best first; a tie stays in order."""
    return sorted(
        ((name, float(score)) for name, score in zip(ids, scores, strict=True)),
        key=lambda pair: -pair[1],
    )


class Own:
    """The backend's token vectors, the core's MaxSim and files: exact, one document a look."""

    def __init__(self, registry: Registry, store: Store, entry: Entry) -> None:
        self.entry = entry
        self.model: ServedModel = open_adapter(registry, store, entry)

    def rerank(self, query: str, documents: Mapping[str, str]) -> Found:
        """See :class:`Engine`."""
        request = RerankRequest(query=query, passages=tuple(documents.values()))
        (scores,) = self.model.rerank([request])
        return sorted_by_score(list(documents), scores.tolist())

    def index(self, documents: Mapping[str, str], out: Path) -> Path:
        """See :class:`Engine`."""
        from ragd_tune.serve.tokens import TokenStore

        TokenStore.write(out, self._blocks(documents), model=self.entry.id)
        return out

    def _blocks(self, documents: Mapping[str, str]) -> Iterator[tuple[Sequence[str], MultiVector]]:
        from ragd_tune.serve.late import blocks, multi

        for ids in blocks(list(documents), BLOCK):
            yield ids, multi(self.model.embed([documents[one] for one in ids], "document"))

    def search(self, index: Path, queries: Sequence[str], k: int) -> list[Found]:
        """See :class:`Engine`."""
        from ragd_tune.serve.late import multi
        from ragd_tune.serve.tokens import TokenStore

        found = TokenStore.open(index, model=self.entry.id)
        return found.search(multi(self.model.embed(list(queries), "query")), k)

    def close(self) -> None:
        """See :class:`Engine`."""
        self.model.close()


class Foreign:
    """RAGatouille in its own process, on the adapter's Stanford checkpoint."""

    def __init__(
        self, registry: Registry, store: Store, entry: Entry, *, python: Path, seconds: float
    ) -> None:
        self.length = entry.manifest.max_length
        self.checkpoint = store.root / "views" / f"{entry.id}-stanford"
        if not (self.checkpoint / "artifact.metadata").is_file():
            with open_adapter(registry, store, entry) as model:
                model.export("stanford", self.checkpoint)
        self.engine = Ragatouille(python, store.root / "ragatouille", seconds=seconds)

    def rerank(self, query: str, documents: Mapping[str, str]) -> Found:
        """See :class:`Engine`."""
        scores = self.engine.rerank(self.checkpoint, query, list(documents.values()))
        return sorted_by_score(list(documents), scores.tolist())

    def index(self, documents: Mapping[str, str], out: Path) -> Path:
        """See :class:`Engine`."""
        return self.engine.index(self.checkpoint, documents, out, length=self.length)

    def search(self, index: Path, queries: Sequence[str], k: int) -> list[Found]:
        """See :class:`Engine`."""
        return self.engine.search(index, queries, k)

    def close(self) -> None:
        """See :class:`Engine`."""
        self.engine.close()


def open_engine(
    registry: Registry,
    store: Store,
    ref: str,
    *,
    engine: str = "own",
    python: Path | None = None,
    seconds: float,
) -> Engine:
    """Open the ColBERT adapter ``ref`` on an engine: ``own`` or ``ragatouille``.

    :raises UsageError: it is no ColBERT, cannot be exported for the engine, or ``python`` is
        missing.
    """
    entry = store.get(ref)
    if entry.manifest.objective != "late_interaction":
        raise UsageError(
            f"{entry.shown} is a {entry.manifest.kind}: it has no vectors of tokens",
            mend="name an adapter that `ragd-tune train colbert` made",
        )
    if engine == "own":
        return Own(registry, store, entry)
    if python is None:
        raise UsageError(
            "RAGatouille runs by an interpreter of its own",
            mend="add --python, the interpreter of an environment with RAGatouille in it",
        )
    return Foreign(registry, store, entry, python=python, seconds=seconds)
