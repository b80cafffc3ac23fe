from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from ragd_tune.errors import StoreError
from ragd_tune.serve import Embedder, Index, Serving, load_base
from ragd_tune.serve.load import load

WORDS = ["harbour lamp", "copper ladder", "garden island"]


def opened(shop: Any, ref: str) -> Embedder:
    return load(ref, home=shop.store.root, registry=shop.registry, offline=True, slot="embedder")


def bare(shop: Any) -> Embedder:
    return load_base(str(shop.base.path), home=shop.store.root, registry=shop.registry)


def index(embedder: Embedder) -> Index[Any]:
    return Index(handle=embedder.embed_documents(WORDS), space=embedder.space)


def test_an_index_of_another_space_is_refused_from_the_start(shop: Any) -> None:
    shop.train("mine")
    base, mine = bare(shop), opened(shop, "mine")
    with pytest.raises(StoreError, match="embeds into the space") as refused:
        Serving(mine, index(base))
    assert mine.space[:12] in refused.value.message
    assert base.space[:12] in refused.value.message


def test_embedder_and_index_swap_together_or_not_at_all(shop: Any) -> None:
    shop.train("mine")
    base, mine = bare(shop), opened(shop, "mine")
    old, new = index(base), index(mine)
    serving = Serving(base, old)
    with pytest.raises(StoreError):
        serving.swap(mine, old)
    assert (serving.pair.embedder, serving.pair.index) == (base, old)
    serving.swap(mine, new)
    assert (serving.pair.embedder, serving.pair.index) == (mine, new)


def test_the_query_side_swaps_alone_within_one_space(shop: Any) -> None:
    shop.train("queries", side="query")
    shop.train("both")
    base = bare(shop)
    serving = Serving(base, index(base))
    mine = opened(shop, "queries")
    serving.swap_queries(mine)
    assert serving.pair.embedder is mine
    assert serving.pair.index.space == mine.space
    with pytest.raises(StoreError, match="embed the documents again"):
        serving.swap_queries(opened(shop, "both"))
    assert serving.pair.embedder is mine


def test_an_operation_ends_on_the_pair_that_it_began_with(shop: Any) -> None:
    shop.train("mine")
    base, mine = bare(shop), opened(shop, "mine")
    serving = Serving(base, index(base))
    with serving.use() as before:
        serving.swap(mine, index(mine))
        with serving.use() as after:
            assert after.embedder is mine
        assert before.embedder is base
        before.embedder.embed_queries(WORDS)  # still open
    assert not base.is_loaded  # and closed after its last operation
    assert mine.is_loaded


def test_an_embedder_stays_open_until_its_last_operation_ends(shop: Any) -> None:
    shop.train("mine")
    base, mine = bare(shop), opened(shop, "mine")
    serving = Serving(base, index(base))
    with ExitStack() as outer:
        outer.enter_context(serving.use())
        with serving.use():
            serving.swap(mine, index(mine))
        assert base.is_loaded
    assert not base.is_loaded


def test_swapping_only_the_index_keeps_the_embedder_open(shop: Any) -> None:
    base = bare(shop)
    serving = Serving(base, index(base))
    serving.swap(base, index(base))
    assert base.is_loaded
    serving.close()
    assert not base.is_loaded


def test_an_operation_that_fails_gives_its_pair_back(shop: Any) -> None:
    shop.train("mine")
    base, mine = bare(shop), opened(shop, "mine")
    serving = Serving(base, index(base))

    def operation() -> None:
        with serving.use():
            serving.swap(mine, index(mine))
            raise RuntimeError("mid-way")

    with pytest.raises(RuntimeError, match="mid-way"):
        operation()
    assert not base.is_loaded


def test_no_query_meets_vectors_of_another_space_while_threads_swap(shop: Any) -> None:
    shop.train("mine")

    def pair(number: int) -> tuple[Embedder, Index[Any]]:
        embedder = opened(shop, "mine") if number % 2 else bare(shop)
        return embedder, index(embedder)

    pairs = [pair(number) for number in range(24)]
    serving = Serving(*pairs[0])
    wrong: list[str] = []
    answered = [0]
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            with serving.use() as held:
                queries = held.embedder.embed_queries(WORDS)
                # Each text is its own document, so in one space its cosine is 1.
                own = np.sum(queries * held.index.handle, axis=1)
                if held.embedder.space != held.index.space or not np.allclose(own, 1, atol=1e-5):
                    wrong.append(held.embedder.id)
                answered[0] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for embedder, its_index in pairs[1:]:
        seen = answered[0]
        serving.swap(embedder, its_index)
        while answered[0] < seen + 3:  # let operations run on this pair
            pass
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert [embedder.is_loaded for embedder, _ in pairs] == [False] * 23 + [True]
