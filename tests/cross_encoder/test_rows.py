from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ragd_tune.data import DataSet, Document, Query
from ragd_tune.testing import tiny_data
from ragd_tune_cross_encoder.rows import Recipe, rows, same


def texts(row: Any) -> list[str]:
    """Return the passages of a row."""
    return list(row["passages"])


def data(qrels: dict[str, dict[str, float]], **fields: Any) -> DataSet:
    """Six passages about anchors, one of them twice, and queries on them."""
    texts = ["anchor beach", "anchor  BEACH", "anchor cloud", "anchor desert", "engine", "anchor"]
    corpus = {f"d{i}": Document(id=f"d{i}", text=text) for i, text in enumerate(texts)}
    asked = {"q0": "anchor", "q1": "Anchor ", "q2": "engine"}
    queries = {qid: Query(id=qid, text=text) for qid, text in asked.items()}
    return DataSet.of(corpus=corpus, queries=queries, qrels={"train": qrels}, **fields)


def test_every_answer_has_its_negatives_and_no_answer_is_among_them() -> None:
    made = rows(tiny_data(), Recipe(negatives=3)).train
    assert made
    for row in made:
        assert row["labels"] == [1.0, 0.0, 0.0, 0.0]
        assert len(set(map(same, texts(row)))) == 4


def test_neither_an_equal_text_nor_the_answer_of_an_equal_query_is_a_negative() -> None:
    made = rows(data({"q0": {"d0": 1.0}, "q1": {"d2": 1.0}}), Recipe(negatives=5)).train
    for row in made:
        negatives = texts(row)[1:]
        assert {"anchor desert", "engine", "anchor"} == set(negatives)


def test_the_datas_own_negatives_come_first_and_answers_among_them_are_left_out() -> None:
    given = {"q2": ("d4", "d3")}
    (row,) = rows(data({"q2": {"d4": 1.0}}, negatives=given), Recipe(negatives=1)).train
    assert texts(row) == ["engine", "anchor desert"]


def test_of_more_negatives_than_are_wanted_every_row_draws_its_own() -> None:
    given = {"q0": ("d2", "d3", "d4", "d5")}
    taken = {
        texts(rows(data({"q0": {"d0": 1.0}}, negatives=given), recipe).train[0])[1]
        for recipe in (Recipe(negatives=1, drawn=True, seed=seed) for seed in range(20))
    }
    assert taken == {"anchor cloud", "anchor desert", "engine", "anchor"}


def test_none_is_drawn_that_stands_below_the_depth() -> None:
    given = {"q0": ("d2", "d3", "d4", "d5")}
    recipe = Recipe(negatives=2, drawn=True, depth=2)
    (row,) = rows(data({"q0": {"d0": 1.0}}, negatives=given), recipe).train
    assert set(texts(row)[1:]) == {"anchor cloud", "anchor desert"}


def test_nothing_is_mined_where_that_is_not_wanted() -> None:
    (row,) = rows(data({"q2": {"d4": 1.0}}), Recipe(negatives=4, mine=False)).train
    assert texts(row) == ["engine"]


def test_graded_answers_share_a_row_with_labels_between_0_and_1() -> None:
    graded = {"q0": {"d0": 3.0, "d2": 1.0}}
    (row,) = rows(data(graded), Recipe(negatives=1)).train
    assert row["labels"] == [1.0, pytest.approx(1 / 3), 0.0, 0.0]


def test_negatives_are_those_that_share_words_with_the_query_where_there_are_enough() -> None:
    bare = replace(tiny_data(queries=160), negatives={})
    made = rows(bare, Recipe(negatives=2, depth=5)).train
    shared = 0
    for row in made:
        asked = set(str(row["query"]).split())
        shared += sum(bool(asked & set(p.split())) for p in texts(row)[1:])
    assert shared == 2 * len(made)


def test_another_seed_draws_other_negatives() -> None:
    one, two = (rows(tiny_data(), Recipe(seed=seed)).fingerprint for seed in (0, 1))
    assert one != two
