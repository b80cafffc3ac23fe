from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate import FILTERS, Question, Sieve, sides
from ragd_tune.data.generate.roundtrip import unfit
from ragd_tune.errors import UsageError

TEXT = "The pump is started by the red lever on the left side of the machine before noon."


def passage(number: int, text: str = "", document: str = "") -> Chunk:
    text = text or f"{TEXT} Number {number} has its own words {number * 7919}."
    name = document or f"d{number}"
    return Chunk(id=f"c{number}", document=name, text=text, start=0, end=len(text))


CHUNKS = {f"c{number}": passage(number) for number in range(10)}


def question(text: str, number: int = 0) -> Question:
    return Question(chunk=f"c{number}", text=text, style="test")


FAULTY = {
    "length": "pump",
    "self-reference": "What is said in this document about the lever?",
    "quotes": "Is the pump is started by the red lever on the left?",
    "language": "Wie wird die Pumpe gestartet und was ist der Hebel?",
    "duplicate": "How do I start the pump today ?",
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_filter_drops_its_fault_counts_it_and_shows_an_example(name: str) -> None:
    rows = [question("How do I start the pump today?"), question(FAULTY[name])]
    sieve = Sieve(CHUNKS)
    kept = sieve.run(rows)
    assert kept == rows[:1]
    told = {one.name: one for one in sieve.report(kept).filters}
    assert (told[name].count, told[name].examples[0]["question"]) == (1, FAULTY[name])
    assert all(one.count == 0 for one in told.values() if one.name != name)


@pytest.mark.parametrize("name", FAULTY)
def test_a_filter_that_is_switched_off_drops_nothing(name: str) -> None:
    rows = [question("How do I start the pump today?"), question(FAULTY[name])]
    sieve = Sieve(CHUNKS, off=[name])
    assert sieve.run(rows) == rows
    assert sieve.report(rows).off == (name,)


def test_a_question_of_many_passages_points_nowhere_and_one_of_two_is_kept() -> None:
    many = [question("What about the lever of it?", number) for number in range(4)]
    two = [question("Where does the oil go then?", number) for number in range(2)]
    sieve = Sieve(CHUNKS)
    assert sieve.run([*many, *two]) == two
    assert {one.name: one.count for one in sieve.report(two).filters}["ambiguous"] == 4


def test_every_filter_has_a_place_in_the_order() -> None:
    sieve = Sieve(CHUNKS)
    sieve.run([question("How do I start the pump?")])
    names = [one.name for one in sieve.report([]).filters]
    assert names == [name for name in FILTERS if name in names]


def vectors(texts: Sequence[str], role: str) -> NDArray[np.float32]:
    """One place for each number named in a text; texts without any lie between all."""
    made = np.full((len(texts), 300), 1e-3, np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            if word.isdigit():
                made[row, int(word)] = 1
    lengths: NDArray[np.float32] = np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(made / lengths, np.float32)


def test_the_round_trip_drops_what_does_not_lead_back_and_what_finds_everything() -> None:
    chunks = [passage(number, text=f"passage {number}") for number in range(300)]
    rows = [question("about 5", 5), question("about 6", 250), question("about all", 7)]
    why = unfit(rows, chunks, vectors, depth=20)
    assert set(why) == {1, 2}
    assert "not among the first 20" in why[1]
    assert "everything" in why[2] or "not among" in why[2]


def test_documents_are_whole_on_one_side_and_near_duplicates_together() -> None:
    chunks = [
        passage(
            n, text=f"Words {n} {'abcdefghij'[n % 10] * 9} {n * 31337} end", document=f"d{n // 2}"
        )
        for n in range(60)
    ]
    twin = "The quick brown fox jumps over the lazy dog near the river bank at dawn, they say"
    chunks += [
        passage(60, text=f"{twin}.", document="twin1"),
        passage(61, text=f"{twin}!", document="twin2"),
    ]
    made = sides(chunks, dev=0.1, test=0.3, seed=3)
    assert set(made) == {chunk.document for chunk in chunks}
    assert made["twin1"] == made["twin2"]
    counts = {
        side: sum(made[chunk.document] == side for chunk in chunks) for side in ("dev", "test")
    }
    assert 0 < counts["dev"] <= 7
    assert 10 < counts["test"] <= 19
    assert made == sides(chunks[::-1], dev=0.1, test=0.3, seed=3)
    assert made != sides(chunks, dev=0.1, test=0.3, seed=4)


def test_an_unknown_filter_is_refused() -> None:
    from pathlib import Path

    from ragd_tune.pipeline.generating import Generation, ready

    with pytest.raises(UsageError, match="nosuch"):
        ready(Generation(documents=(Path(),), base="x", off=frozenset({"nosuch"})))
