"""Mine hard negatives for a data set, by the base model or by an adapter, and write it anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.data import DataSet, read, write
from ragd_tune.data.mine import Mined, Mining, mine
from ragd_tune.data.mine.tables import tables_of, teacher_rows
from ragd_tune.data.write import must_be_free
from ragd_tune.errors import UsageError
from ragd_tune.pipeline.teaching import scores_by, teaching
from ragd_tune.pipeline.workshop import Workshop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.data.generate.roundtrip import Embed
    from ragd_tune.serve.embedder import Embedder

RETRIEVERS = ("bm25", "dense")


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedSet:
    """The data set with its negatives, as it was written, and the counts."""

    data: DataSet
    mined: Mined
    scored_by: str


def mine_data(
    shop: Workshop,
    path: Path,
    out: Path,
    asked: Mining,
    *,
    base: str,
    adapter: str | None = None,
    teacher: str | None = None,
    offline: bool | None = None,
    force: bool = False,
) -> MinedSet:
    """Mine negatives for the data set at ``path``, and write it with them to ``out``.

    Vectors are the base's, or an ``adapter``'s (a name or id of the store). Scores are theirs, or
    those of a ``teacher`` (see :func:`ragd_tune.pipeline.teaching.teaching`). Unfinished work is
    kept under the store's ``runs`` and gone on with.

    :raises UsageError: ``out`` is there already, a retriever is unknown, or the teacher is none.
    :raises NotInstalledError: bm25s, the base, the teacher, or a backend for them is not here.
    """
    unknown = sorted(set(asked.retrievers) - set(RETRIEVERS))
    if unknown or not asked.retrievers:
        raise UsageError(f"there is no retriever {unknown[:1]}", mend="use bm25, dense or both")
    must_be_free(out, force)
    data = read(path)
    mined, by = _mined(shop, data, asked, base, adapter, teacher, offline=offline)
    return _written(data, path, out, asked, mined, by, force=force)


def _mined(
    shop: Workshop,
    data: DataSet,
    asked: Mining,
    base: str,
    adapter: str | None,
    teacher: str | None,
    *,
    offline: bool | None,
) -> tuple[Mined, str]:
    """Return the negatives, and who scored them."""
    by = "bm25"
    with ExitStack() as open_:
        given: dict[str, Any] = {}
        if "dense" in asked.retrievers:
            embedder = open_.enter_context(_encoder(shop, base, adapter, offline=offline))
            given |= {"embed": embed_with(embedder), "encoder": embedder.id}
            by = embedder.model_name
        if teacher is not None:
            reranker = open_.enter_context(teaching(shop, teacher, offline=offline))
            given |= {"rescore": scores_by(reranker), "teacher": reranker.id}
            by = reranker.model_name
        folder = shop.store.runs / "mining"
        return mine(data, asked, folder, progress=shop.progress, **given), by


def embed_with(embedder: Embedder) -> Embed:
    """Return a function of texts and a role that embeds by ``embedder``."""

    def embed(texts: Sequence[str], role: str) -> NDArray[np.float32]:
        asks: Callable[[Sequence[str]], NDArray[np.float32]] = (
            embedder.embed_queries if role == "query" else embedder.embed_documents
        )
        return asks(texts)

    return embed


@contextmanager
def _encoder(
    shop: Workshop, base: str, adapter: str | None, *, offline: bool | None
) -> Iterator[Embedder]:
    from ragd_tune.serve.load import load, load_base

    home = shop.store.root
    if adapter is None:
        embedder = load_base(base, home=home, registry=shop.registry, offline=offline)
    else:
        embedder = load(
            adapter, slot="embedder", home=home, registry=shop.registry, offline=offline
        )
    with embedder:
        yield embedder


def _written(
    data: DataSet,
    path: Path,
    out: Path,
    asked: Mining,
    mined: Mined,
    by: str,
    *,
    force: bool,
) -> MinedSet:
    made = DataSet.of(
        corpus=data.corpus,
        queries=data.queries,
        qrels=data.qrels,
        negatives={**data.negatives, **mined.negatives},
        scored=data.scored,
        source=data.source,
    )
    told = {
        **{key: value for key, value in data.about.items() if key not in ("fingerprint", "parts")},
        "negatives": {
            "by": list(asked.retrievers),
            "scored_by": by,
            "margin": asked.margin,
            "depth": asked.depth,
            **mined.to_json(),
        },
    }
    tables = {**tables_of(path), "teacher.jsonl": teacher_rows(mined.teacher, by)}
    out.parent.mkdir(parents=True, exist_ok=True)
    write(replace(made, about=told), out, force=force, tables=tables)
    return MinedSet(data=read(out), mined=mined, scored_by=by)
