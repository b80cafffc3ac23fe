"""Batches are the core's: the same everywhere, no row lost, no false negative inside."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragd_tune.errors import DataError
from ragd_tune.objectives import CONTRASTIVE_OBJECTIVE, Row, Rows, batches, passage_keys


def row(query: str, positive: str, relevant: list[str], negatives: list[str] | None = None) -> Row:
    made: dict[str, object] = {
        "query": query,
        "positive": f"text of {positive}",
        "positive_key": positive,
        "relevant_keys": relevant,
    }
    if negatives:
        made["negatives"] = [f"text of {key}" for key in negatives]
        made["negative_keys"] = negatives
    return made


documents = st.integers(0, 12).map(lambda n: f"d{n}")


@st.composite
def many_rows(draw: st.DrawFn) -> list[Row]:
    rows = []
    for number in range(draw(st.integers(1, 40))):
        relevant = draw(st.lists(documents, min_size=1, max_size=3, unique=True))
        others = draw(st.lists(documents, max_size=2, unique=True))
        negatives = [key for key in others if key not in relevant]
        rows += [row(f"q{number}", key, relevant, negatives) for key in relevant]
    return rows


@given(many_rows(), st.integers(2, 9), st.integers(0, 5), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_no_passage_of_a_batch_is_relevant_to_another_rows_query(
    rows: list[Row], size: int, seed: int, epoch: int
) -> None:
    for batch in batches(rows, batch_size=size, seed=seed, epoch=epoch):
        for one in batch:
            for other in batch:
                if one != other:
                    assert not passage_keys(rows[one]) & set(rows[other]["relevant_keys"])  # type: ignore[call-overload]


@given(many_rows(), st.integers(2, 9), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_no_row_comes_twice_and_no_batch_is_too_large_or_without_a_negative(
    rows: list[Row], size: int, seed: int
) -> None:
    made = batches(rows, batch_size=size, seed=seed, epoch=0)
    seen = [index for batch in made for index in batch]
    assert len(seen) == len(set(seen))
    assert len(made) <= math.ceil(1.25 * math.ceil(len(rows) / size))
    assert all(len(batch) <= size + 1 for batch in made)
    assert all(len(batch) > 1 or rows[batch[0]].get("negatives") for batch in made)


@given(st.integers(4, 60), st.integers(2, 9), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_rows_about_different_passages_are_all_there_in_batches_of_like_size(
    count: int, size: int, seed: int
) -> None:
    rows = [row(f"q{n}", f"d{n}", [f"d{n}"], [f"n{n}"]) for n in range(count)]
    made = batches(rows, batch_size=size, seed=seed, epoch=0)
    assert sorted(index for batch in made for index in batch) == list(range(count))
    assert max(map(len, made)) - min(map(len, made)) <= 1


def test_rows_about_one_passage_that_find_no_batch_come_in_another_epoch() -> None:
    rows = [row(f"q{n}", f"d{max(0, n - 30)}", [f"d{max(0, n - 30)}"]) for n in range(40)]
    epochs = [batches(rows, batch_size=8, seed=0, epoch=epoch) for epoch in range(40)]
    assert all(len(made) == 7 for made in epochs)
    assert {index for made in epochs for batch in made for index in batch} == set(range(40))


def test_batches_are_the_same_for_the_same_seed_and_epoch_and_differ_between_epochs() -> None:
    rows = [row(f"q{n}", f"d{n}", [f"d{n}"]) for n in range(50)]
    first = batches(rows, batch_size=8, seed=3, epoch=0)
    assert first == batches(rows, batch_size=8, seed=3, epoch=0)
    assert first != batches(rows, batch_size=8, seed=3, epoch=1)
    assert first != batches(rows, batch_size=8, seed=4, epoch=0)


def test_batches_are_pinned_so_that_backends_and_versions_can_be_compared() -> None:
    rows = [row(f"q{n}", f"d{n % 5}", [f"d{n % 5}"]) for n in range(7)]
    assert batches(rows, batch_size=3, seed=0, epoch=0) == [[6, 5], [0, 4, 2], [1, 3]]


def test_a_passage_that_comes_often_costs_no_more_batches_than_it_has_to() -> None:
    often = [row(f"q{n}", "d0", ["d0"]) for n in range(50)]
    rows = [*often, *(row(f"p{n}", f"e{n}", [f"e{n}"]) for n in range(1550))]
    for seed in range(5):
        made = batches(rows, batch_size=32, seed=seed, epoch=0)
        assert len(made) == 50
        assert {len(batch) for batch in made} == {32}


def test_an_objective_without_in_batch_negatives_loses_no_row_and_keeps_none_apart() -> None:
    rows = [row(f"q{n}", "d0", ["d0"]) for n in range(9)]
    made = batches(rows, batch_size=4, seed=0, epoch=0, contrasts=False)
    assert [len(batch) for batch in made] == [4, 4, 1]
    assert sorted(index for batch in made for index in batch) == list(range(9))


def test_a_hundred_queries_about_one_document_each_get_a_batch_of_their_own() -> None:
    same = [row(f"q{n}", "d0", ["d0"]) for n in range(100)]
    others = [row(f"p{n}", f"e{n}", [f"e{n}"]) for n in range(400)]
    made = batches([*same, *others], batch_size=4, seed=0, epoch=0)
    assert all(sum(index < 100 for index in batch) <= 1 for batch in made)


def test_a_row_of_the_wrong_shape_is_refused_with_its_place_and_field() -> None:
    with pytest.raises(DataError, match=r"here:3: a contrastive row needs 'positive'"):
        CONTRASTIVE_OBJECTIVE.check({"query": "q"}, where="here:3")
    bad = {**row("q", "d", ["d"]), "negatives": "not a list"}
    with pytest.raises(DataError, match="'negatives' of a contrastive row must be texts"):
        CONTRASTIVE_OBJECTIVE.check(bad, where="x")
    with pytest.raises(DataError, match="has no field 'postive'"):
        CONTRASTIVE_OBJECTIVE.check({**row("q", "d", ["d"]), "postive": "x"}, where="x")


@given(many_rows())
@settings(max_examples=30, deadline=None)
def test_rows_survive_the_way_to_a_worker(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    folder: Path = tmp_path_factory.mktemp("rows")
    made = Rows(objective="contrastive", train=rows, dev=rows[:2])
    made.write(folder)
    back = Rows.read(folder, CONTRASTIVE_OBJECTIVE)
    assert list(back.train) == rows
    assert back.fingerprint == made.fingerprint


def test_the_fingerprint_of_rows_knows_their_order_and_their_part() -> None:
    a, b = row("q", "d", ["d"]), row("p", "e", ["e"])
    prints = {
        Rows(objective="contrastive", train=[a, b]).fingerprint,
        Rows(objective="contrastive", train=[b, a]).fingerprint,
        Rows(objective="contrastive", train=[a], dev=[b]).fingerprint,
    }
    assert len(prints) == 3
