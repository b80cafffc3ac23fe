"""BM25 against SQLite's own, and the first stages that are made of it."""

from __future__ import annotations

import random
import sqlite3

import numpy as np
import pytest

from ragd_tune.evaluate.bm25 import Bm25, words
from ragd_tune.evaluate.first_stage import Found, dense, hybrid, keywords, reordered

WORDS = ["anchor", "beach", "cloud", "desert", "engine", "forest", "garden", "harbour"]


def passages(count: int) -> list[str]:
    draw = random.Random(3)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) for _ in range(count)]


def sqlite_scores(texts: list[str], query: str) -> dict[int, float]:
    """Return SQLite's BM25 of the passages with any word of ``query``, by their index."""
    base = sqlite3.connect(":memory:")
    try:
        base.execute("CREATE VIRTUAL TABLE t USING fts5(content, tokenize='unicode61')")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no FTS5")
    base.executemany("INSERT INTO t (content) VALUES (?)", [(text,) for text in texts])
    asked = " OR ".join(f'"{word}"' for word in dict.fromkeys(words(query)))
    rows = base.execute("SELECT rowid, bm25(t) FROM t WHERE t MATCH ?", (asked,)).fetchall()
    base.close()
    return {row - 1: -score for row, score in rows}


@pytest.mark.parametrize("query", ["anchor", "Anchor, beach!", "cloud desert cloud engine"])
def test_scores_are_those_of_the_engine_that_ragd_searches_with(query: str) -> None:
    texts = [*passages(60), "zebra yacht", "zebra anchor", ""]
    found = Bm25(texts).scores(query)
    theirs = sqlite_scores(texts, query)
    assert set(np.flatnonzero(found).tolist()) == set(theirs)
    for index, score in theirs.items():
        assert found[index] == pytest.approx(score, rel=1e-4, abs=1e-6)


def test_the_top_is_the_head_of_all_scores_and_ties_go_by_index() -> None:
    texts = passages(40) * 2
    index = Bm25(texts)
    scores, found = index.top("anchor beach", 15)
    everything = index.scores("anchor beach")
    order = sorted(range(len(texts)), key=lambda i: (-everything[i], i))[:15]
    assert found.tolist() == order
    np.testing.assert_array_equal(scores, everything[order])


def test_a_passage_without_the_words_is_not_found() -> None:
    index = Bm25(["anchor", "beach", ""])
    assert index.top("anchor", 3)[1].tolist() == [0]
    assert index.top("nothing of it", 3)[1].tolist() == []
    assert Bm25([]).top("anchor", 3)[1].tolist() == []


def test_what_is_not_to_be_found_is_not() -> None:
    texts = ["anchor", "anchor beach", "anchor cloud", *["desert"] * 9]
    keep = np.array([False, True, True, *[True] * 9])
    (found,) = keywords(["anchor"], Bm25(texts), 2, keep=keep)
    assert sorted(found.indices.tolist()) == [1, 2]
    vectors = np.eye(3, dtype=np.float32)
    (near,) = dense(vectors[:1], vectors, 2, keep=np.array([False, True, True]))
    assert sorted(near.indices.tolist()) == [1, 2]


def test_the_hybrid_score_is_ragds() -> None:
    by_meaning = Found(np.array([4, 7]), np.array([0.5, 0.1], np.float32))
    by_words = Found(np.array([7, 9]), np.array([25.0, 5.0], np.float32))
    (found,) = hybrid([by_meaning], [by_words], 10)
    want = {7: 0.7 * 0.55 + 0.3, 4: 0.7 * 0.75, 9: 0.3 * 0.5}
    assert found.indices.tolist() == sorted(want, key=lambda i: -want[i])
    np.testing.assert_allclose(found.scores, [want[i] for i in found.indices.tolist()], rtol=1e-6)


def test_equal_scores_keep_the_order_of_the_first_stage() -> None:
    found = Found(np.array([5, 3, 8]), np.zeros(3, np.float32))
    again = reordered(found, np.array([0.2, 0.9, 0.2], np.float32))
    assert again.indices.tolist() == [3, 5, 8]
