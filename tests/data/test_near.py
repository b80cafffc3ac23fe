"""Near-duplicates: what is proposed by hashing is what comparing all with all would find."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragd_tune.data.near import jaccard, near_duplicates, one_edit_apart, shingles
from ragd_tune.data.text import bare, edits, fold


def apart(first: str, second: str) -> int:
    """Return the optimal string alignment distance by the textbook's full table."""
    table = [
        [max(i, j) * (not i or not j) for j in range(len(second) + 1)]
        for i in range(len(first) + 1)
    ]
    for i, left in enumerate(first, 1):
        for j, right in enumerate(second, 1):
            table[i][j] = min(
                table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (left != right)
            )
            if i > 1 and j > 1 and left == second[j - 2] and first[i - 2] == right:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


WORDS = st.text("abc ", max_size=9)


@settings(max_examples=300, deadline=None)
@given(first=WORDS, second=WORDS, limit=st.integers(1, 4))
def test_edits_agree_with_the_full_table_up_to_their_limit(
    first: str, second: str, limit: int
) -> None:
    assert edits(first, second, limit) == min(apart(first, second), limit + 1)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text("ab", min_size=1, max_size=6), max_size=12))
def test_texts_one_edit_apart_are_all_found(texts: list[str]) -> None:
    first = {text: texts.index(text) for text in texts}
    wanted = {
        tuple(sorted((first[one], first[two])))
        for one, two in combinations(first, 2)
        if apart(one, two) <= 1
    }
    wanted |= {(first[text], number) for number, text in enumerate(texts) if first[text] != number}
    assert set(one_edit_apart(texts)) == wanted


def variants(seed: int, count: int) -> list[str]:
    """Return texts around a few originals, from nearly equal to unlike."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz    "
    originals = ["".join(rng.choices(letters, k=rng.randint(40, 200))) for _ in range(12)]
    made = []
    for _ in range(count):
        text = list(rng.choice(originals))
        for _ in range(rng.choice((0, 1, 2, 3, 5, 9))):
            text[rng.randrange(len(text))] = rng.choice(letters)
        made.append("".join(text))
    return made


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_near_duplicate_is_found_and_nothing_else(seed: int) -> None:
    texts = list(dict.fromkeys(fold(text) for text in variants(seed, 120)))
    hashes = [shingles(text) for text in texts]
    wanted = {
        pair
        for pair in combinations(range(len(texts)), 2)
        if jaccard(hashes[pair[0]], hashes[pair[1]]) >= 0.8
    }
    found = {(one, two) for one, two, _ in near_duplicates(texts)}
    assert len(wanted) > 50
    assert found == wanted


def test_a_crowd_of_one_template_still_hangs_together() -> None:
    template = "The quick brown fox jumps over the lazy dog while number {} watches from the hill."
    texts = [template.format(number) for number in range(1000, 1400)]
    joined = {number for pair in near_duplicates(texts) for number in pair[:2]}
    assert joined == set(range(400))


def test_short_and_empty_texts_are_compared_as_a_whole() -> None:
    assert near_duplicates(["ab", "AB ", "ac", "", " "]) == [(0, 1, 1.0), (3, 4, 1.0)]
    assert near_duplicates([]) == []
    assert one_edit_apart([]) == []


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("What is ALL?", "what is   all"),
        ("it's “done”…", "Its done"),
        ("e-mail", "email"),
        ("ﬁle", "file"),
    ],
)
def test_spelling_of_a_sentence_does_not_count(one: str, two: str) -> None:
    assert bare(one).replace(" ", "") == bare(two).replace(" ", "")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("What is C++?", "What is C?"),
        ("F#", "F"),
        ("-5", "5"),
        ("full_path", "fullpath"),
        ("?", "!"),
    ],
)
def test_marks_that_carry_meaning_count(one: str, two: str) -> None:
    assert bare(one).replace(" ", "") != bare(two).replace(" ", "")
