"""Leaks: the same or nearly the same query on two sides; known documents are none."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.data import DataSet, Document, Query, UnusableDataError, check, read
from ragd_tune.data.leaks import leaks, nearly

Beir = Callable[..., Path]
ASKED = "How do I change the permissions of a directory?"


def two_sides(train: str, test: str, *, same_answer: bool) -> DataSet:
    answer = "d1" if same_answer else "d2"
    return DataSet.of(
        corpus={did: Document(id=did, text=f"text of {did}") for did in ("d1", "d2")},
        queries={"a": Query(id="a", text=train), "b": Query(id="b", text=test)},
        qrels={"train": {"a": {"d1": 1.0}}, "test": {"b": {answer: 1.0}}},
    )


@pytest.mark.parametrize("same_answer", [True, False])
@pytest.mark.parametrize(
    "variant",
    [
        ASKED,
        ASKED.upper(),
        ASKED.rstrip("?"),
        f"  {ASKED}  ",
        ASKED.replace(" ", "  "),
        ASKED.replace("?", " ?!"),
        f'"{ASKED}"',
    ],
)
def test_the_same_query_is_a_leak_whatever_its_case_blanks_and_marks(
    variant: str, same_answer: bool
) -> None:
    (leak,) = leaks(two_sides(ASKED, variant, same_answer=same_answer))
    assert (leak.split, leak.qid, leak.other_split, leak.other, leak.kind) == (
        "test",
        "b",
        "train",
        "a",
        "same",
    )


def typo(text: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(text) - 2)
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    return rng.choice(
        (
            text[:at] + text[at + 1 :],
            text[:at] + letter + text[at:],
            text[:at] + letter + text[at + 1 :],
            text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        )
    )


@pytest.mark.parametrize("seed", range(40))
def test_one_typing_error_is_a_leak_where_the_answer_is_the_same(seed: int) -> None:
    changed = typo(ASKED, random.Random(seed))
    assert [leak.qid for leak in leaks(two_sides(ASKED, changed, same_answer=True))] == ["b"]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("What causes Asthma?", "What causes Eczema?"),
        ("Do you have information about Vitamin A", "Do you have information about Vitamin K"),
        ("Find SUID files", "Find SGID files"),
        ("List files newer than file1.txt", "List files newer than file2.txt"),
        ("What is C++?", "What is C?"),
    ],
)
def test_another_question_of_the_same_form_is_no_leak(train: str, test: str) -> None:
    data = two_sides(train, test, same_answer=False)
    assert leaks(data) == ()
    assert check(data).leaked == frozenset()


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("What causes Asthma?", "What causes Eczema?"),
        ("How is asthma treated?", "How is asthma found?"),
        ("opening hours on Monday", "opening hours on Sunday"),
    ],
)
def test_other_words_are_no_leak_even_where_the_answer_is_the_same(train: str, test: str) -> None:
    assert leaks(two_sides(train, test, same_answer=True)) == ()


def test_more_edits_are_allowed_in_longer_queries_only() -> None:
    short, long = "find files in here", "find all files that were changed in the last week in here"
    assert nearly(short, short.replace("find", "fnd"))
    assert not nearly(short, short.replace("find", "fnd").replace("files", "flies"))
    assert nearly(long, long.replace("find", "fnd").replace("files", "flies"))


def test_an_equal_answer_under_another_id_is_the_same_answer() -> None:
    data = DataSet.of(
        corpus={did: Document(id=did, text=text) for did, text in (("d1", "x y"), ("d2", " x  y"))},
        queries={
            "a": Query(id="a", text="how to zip a folder"),
            "b": Query(id="b", text="how to zip a foldr"),
        },
        qrels={"train": {"a": {"d1": 1.0}}, "test": {"b": {"d2": 1.0}}},
    )
    assert [leak.kind for leak in leaks(data)] == ["near"]


def test_one_query_in_two_splits_is_a_leak_between_every_two_sides(beir: Beir) -> None:
    judged = [("q1", "d1", 1)]
    data = read(beir(qrels={"train": judged, "dev": judged, "test": judged}))
    found = {(leak.split, leak.other_split) for leak in leaks(data)}
    assert found == {("test", "train"), ("test", "dev"), ("dev", "train")}


def test_a_document_on_both_sides_is_known_and_no_leak(beir: Beir) -> None:
    folder = beir(qrels={"train": [("q1", "d1", 1)], "test": [("q2", "d1", 1), ("q3", "d3", 1)]})
    data = read(folder)
    assert data.known_and_new("test") == (frozenset({"q2"}), frozenset({"q3"}))
    report = check(data)
    assert not report.leaked
    assert "1 known, 1 new" in str(report.counts["test"])


def test_another_passage_of_a_trained_document_is_known(beir: Beir) -> None:
    corpus = [
        {"_id": "d1", "text": "a", "document": "guide"},
        {"_id": "d2", "text": "b", "document": "guide"},
    ]
    folder = beir(corpus=corpus, qrels={"train": [("q1", "d1", 1)], "test": [("q2", "d2", 1)]})
    assert read(folder).known_and_new("test") == (frozenset({"q2"}), frozenset())


def test_a_leak_is_told_with_both_places_and_left_out(beir: Beir) -> None:
    queries = [
        {"_id": "q1", "text": "how long do cats sleep"},
        {"_id": "q2", "text": "How long do cats sleep?"},
    ]
    folder = beir(queries=queries, qrels={"train": [("q1", "d1", 1)], "test": [("q2", "d1", 1)]})
    report = check(read(folder))
    assert report.leaked == {"q2"}
    (finding,) = [finding for finding in report.findings if finding.code == "leak"]
    assert finding.place == f"{folder / 'queries.jsonl'}:2"
    assert f"{folder / 'queries.jsonl'}:1" in finding.message
    assert finding.level == "warning"
    assert finding.mend
    assert report.ok
    with pytest.raises(UnusableDataError, match=r"queries\.jsonl:2"):
        check(read(folder), strict=True)
