"""A teacher: a reranker that reads query and passage together, and decides which negatives stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ragd_tune.errors import NotInstalledError, StoreError, UsageError
from ragd_tune.pipeline.workshop import Workshop

if TYPE_CHECKING:
    from ragd_tune.data.mine.run import Rescore
    from ragd_tune.serve.reranker import Reranker


@contextmanager
def teaching(shop: Workshop, name: str, *, offline: bool | None) -> Iterator[Reranker]:
    """Yield the reranker ``name``: an adapter of the store, else a base that is one.

    It is loaded, unless its work is done on a cluster.

    :raises UsageError: it is no reranker, or one whose head was never trained.
    :raises NotInstalledError: there is no such adapter and no such base, or nothing loads it here.
    """
    with find_teacher(shop, name, offline=offline) as teacher:
        if shop.cluster is None:
            must_be_trained(teacher, name)
        yield teacher


def find_teacher(shop: Workshop, name: str, *, offline: bool | None) -> Reranker:
    """Return the reranker ``name``; raises what :func:`teaching` does."""
    return _adapter(shop, name, offline=offline) or _base(shop, name, offline=offline)


def must_be_trained(teacher: Reranker, name: str) -> None:
    """Load a reranker, and refuse one whose head was never trained.

    :raises UsageError: it is such a one.
    """
    if teacher.facts.settings.get("untrained_head"):
        raise UsageError(
            f"{name} has no trained head: its scores would be chance",
            mend="name a reranker, as an adapter of `ragd-tune train cross-encoder`",
        )


def spread_teacher(shop: Workshop, teacher: Reranker, *, offline: bool | None) -> Rescore | None:
    """Return the like of ``teacher`` on the shop's cluster; None where there is no cluster."""
    if shop.cluster is None:
        return None
    from ragd_tune.pipeline.spreading import Model, SpreadTeacher

    model = Model.of(
        teacher.model_name, teacher.id, shop.store.root, adapter=False, offline=offline
    )
    return SpreadTeacher(shop.cluster, model)


def scores_by(teacher: Reranker) -> Rescore:
    """Return a function of a query and passages that scores them by ``teacher``."""

    def rescore(query: str, passages: Sequence[str]) -> list[float]:
        return [float(score) for score in teacher.rerank(query, passages)]

    return rescore


def _adapter(shop: Workshop, name: str, *, offline: bool | None) -> Reranker | None:
    from ragd_tune.serve.load import find, load

    try:
        find(shop.store, name)
    except StoreError:
        return None
    return load(
        name,
        slot="reranker",
        home=shop.store.root,
        registry=shop.registry,
        offline=offline,
        lazy=shop.cluster is not None,
    )


def _base(shop: Workshop, name: str, *, offline: bool | None) -> Reranker:
    from ragd_tune.models import resolve
    from ragd_tune.serve import ServedModel, open_model
    from ragd_tune.serve.reranker import Reranker

    try:
        base = resolve(name, offline=offline, home=shop.store.root)
    except NotInstalledError as error:
        raise NotInstalledError(
            f"the teacher {name} is no adapter of the store, and no base that is here",
            mend=f"ragd-tune adapters list; {error.mend}",
        ) from error

    def open_() -> ServedModel:
        return open_model(shop.registry, objective="relevance", format="base", base=base)

    return Reranker(open_, id=base.fingerprint, name=name, facts=None)
