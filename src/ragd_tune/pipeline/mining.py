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
from ragd_tune.pipeline.teaching import scores_by, spread_teacher, teaching
from ragd_tune.pipeline.workshop import Workshop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.data.generate.roundtrip import Embed
    from ragd_tune.data.llm import Endpoint
    from ragd_tune.data.mine.writing import Written
    from ragd_tune.pipeline.asking import Asking
    from ragd_tune.serve.embedder import Embedder

RETRIEVERS = ("bm25", "dense")


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedSet:
    """The data set with its negatives, as it was written, and the counts."""

    data: DataSet
    mined: Mined
    scored_by: str
    written: Written | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Let a language model write ``count`` further negatives for each query."""

    asking: Asking
    count: int = 1


def mine_data(
    shop: Workshop,
    path: Path,
    out: Path,
    asked: Mining,
    *,
    base: str,
    adapter: str | None = None,
    teacher: str | None = None,
    writing: Writing | None = None,
    offline: bool | None = None,
    force: bool = False,
) -> MinedSet:
    """Mine negatives for the data set at ``path``, and write it with them to ``out``.

    Vectors are the base's, or an ``adapter``'s (a name or id of the store). Scores are theirs, or
    those of a ``teacher`` (see :func:`ragd_tune.pipeline.teaching.teaching`). With ``writing``, a
    language model adds passages of its own. Unfinished work is kept under the store's ``runs`` and
    gone on with.

    :raises UsageError: ``out`` is there already, a retriever is unknown, or the teacher is none.
    :raises NotInstalledError: bm25s, the base, the teacher, or a backend for them is not here; or
        no language model answers.
    :raises EndpointError: it refuses, or is gone in the middle.
    """
    unknown = sorted(set(asked.retrievers) - set(RETRIEVERS))
    if unknown or not asked.retrievers:
        raise UsageError(f"there is no retriever {unknown[:1]}", mend="use bm25, dense or both")
    must_be_free(out, force)
    data = read(path)
    endpoint = writing and _connected(writing)
    mined, by = _mined(shop, data, asked, base, adapter, teacher, offline=offline)
    written = None
    if writing and endpoint:
        written = _by_model(shop, data, asked, writing, endpoint, base, adapter, offline=offline)
    return _saved(data, path, out, asked, mined, written, by, force=force)


def _connected(writing: Writing) -> Endpoint:
    from ragd_tune.pipeline.asking import connect

    return connect(writing.asking, seed=0)


def _by_model(
    shop: Workshop,
    data: DataSet,
    asked: Mining,
    writing: Writing,
    endpoint: Endpoint,
    base: str,
    adapter: str | None,
    *,
    offline: bool | None,
) -> Written:
    from ragd_tune.data.mine.writing import write_wrong
    from ragd_tune.pipeline.asking import keeper_of

    keeper = keeper_of(shop, endpoint, writing.asking)
    with ExitStack() as open_:
        embed = None
        if "dense" in asked.retrievers and asked.margin is not None:
            embedder = open_.enter_context(embedder_of(shop, base, adapter, offline=offline))
            embed = embedding_by(shop, embedder, adapter, offline=offline)
        return write_wrong(
            data,
            keeper,
            count=writing.count,
            splits=asked.splits,
            judged=writing.asking.judged,
            embed=embed,
            margin=asked.margin,
        )


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
            embedder = open_.enter_context(embedder_of(shop, base, adapter, offline=offline))
            embed = embedding_by(shop, embedder, adapter, offline=offline)
            given |= {"embed": embed, "encoder": embedder.id}
            by = embedder.model_name
        if teacher is not None:
            reranker = open_.enter_context(teaching(shop, teacher, offline=offline))
            rescore = spread_teacher(shop, reranker, offline=offline) or scores_by(reranker)
            given |= {"rescore": rescore, "teacher": reranker.id}
            by = reranker.model_name
        folder = shop.store.runs / "mining"
        cluster, progress = shop.cluster, shop.progress
        return mine(data, asked, folder, cluster=cluster, progress=progress, **given), by


def embed_with(embedder: Embedder) -> Embed:
    """Return a function of texts and a role that embeds by ``embedder``."""

    def embed(texts: Sequence[str], role: str) -> NDArray[np.float32]:
        asks: Callable[[Sequence[str]], NDArray[np.float32]] = (
            embedder.embed_queries if role == "query" else embedder.embed_documents
        )
        return asks(texts)

    return embed


def embedding_by(
    shop: Workshop, embedder: Embedder, adapter: str | None = None, *, offline: bool | None
) -> Embed:
    """Return a function that embeds by ``embedder``: here, or by its like on the shop's cluster."""
    if shop.cluster is None:
        return embed_with(embedder)
    from ragd_tune.pipeline.spreading import Model, SpreadEmbed

    model = Model.of(
        adapter or embedder.model_name,
        embedder.id,
        shop.store.root,
        adapter=adapter is not None,
        offline=offline,
    )
    return SpreadEmbed(shop.cluster, model)


@contextmanager
def embedder_of(
    shop: Workshop, base: str, adapter: str | None = None, *, offline: bool | None
) -> Iterator[Embedder]:
    """Yield the embedder of ``base``, or that of an ``adapter``; for a cluster it is not loaded."""
    from ragd_tune.serve.load import load, load_base

    home, lazy = shop.store.root, shop.cluster is not None
    given: dict[str, Any] = {"home": home, "registry": shop.registry, "lazy": lazy}
    if adapter is None:
        embedder = load_base(base, offline=offline, **given)
    else:
        embedder = load(adapter, slot="embedder", offline=offline, **given)
    with embedder:
        yield embedder


def _saved(
    data: DataSet,
    path: Path,
    out: Path,
    asked: Mining,
    mined: Mined,
    written: Written | None,
    by: str,
    *,
    force: bool,
) -> MinedSet:
    made = DataSet.of(
        corpus=data.corpus,
        queries=data.queries,
        qrels=data.qrels,
        negatives={**data.negatives, **mined.negatives},
        written={**data.written, **(written.texts if written else {})},
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
            **({"written": written.to_json()} if written else {}),
        },
    }
    tables = {**tables_of(path), "teacher.jsonl": teacher_rows(mined.teacher, by)}
    out.parent.mkdir(parents=True, exist_ok=True)
    write(replace(made, about=told), out, force=force, tables=tables)
    return MinedSet(data=read(out), mined=mined, scored_by=by, written=written)
