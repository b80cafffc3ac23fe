"""The splitter: documents and near-duplicates on one side, whatever the order of rows."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import pytest

from ragd_tune.data import DataSet, Document, Query, UnusableDataError, check, split
from ragd_tune.data.leaks import leaks
from ragd_tune.data.near import jaccard, shingles
from ragd_tune.data.text import bare, edits, fold
from ragd_tune.errors import UsageError

WORDS = [
    a + b + c for a in ("ba", "ko", "ri", "tu") for b in ("len", "mas", "dor") for c in "aeiou"
]


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def corpus_of(seed: int = 0, documents: int = 60) -> DataSet:
    """Make sources of two passages, two queries each, some of them nearly copies of others."""
    rng = random.Random(seed)
    corpus: dict[str, Document] = {}
    queries: dict[str, Query] = {}
    judged: dict[str, dict[str, float]] = {}
    for number in range(documents):
        copied = number % 5 == 4
        for part in "ab":
            did = f"d{number}{part}"
            text = sentence(rng, 30)
            if copied and part == "a":
                text = corpus[f"d{number - 1}a"].text + " end"
            corpus[did] = Document(id=did, text=text, document=f"source {number}")
            said = sentence(rng, 7)
            if number % 7 == 6 and part == "b":
                said = queries[f"q{number - 2}b"].text.replace("a", "e", 1)
            queries[f"q{number}{part}"] = Query(id=f"q{number}{part}", text=said)
            judged[f"q{number}{part}"] = {did: 1.0}
    return DataSet.of(corpus=corpus, queries=queries, qrels={"train": judged})


def sides(data: DataSet) -> dict[str, str]:
    return {qid: side for side, judged in data.qrels.items() for qid in judged}


@pytest.mark.parametrize("seed", range(4))
def test_no_document_and_no_near_duplicate_is_on_two_sides(seed: int) -> None:
    made = split(corpus_of(seed), seed=seed, dev=0.2, test=0.3)
    side_of_query = sides(made)
    side_of_document = {
        did: side for side, judged in made.qrels.items() for docs in judged.values() for did in docs
    }
    hashes = {did: shingles(fold(made.corpus[did].passage)) for did in side_of_document}
    near = 0
    for one, two in combinations(side_of_document, 2):
        same_source = made.unit(one) == made.unit(two)
        if same_source or jaccard(hashes[one], hashes[two]) >= 0.8:
            near += not same_source
            assert side_of_document[one] == side_of_document[two]
    assert near
    for one, two in combinations(side_of_query, 2):
        if edits(bare(made.queries[one].text), bare(made.queries[two].text), 1) <= 1:
            near += 1
            assert side_of_query[one] == side_of_query[two]
    assert leaks(made) == ()
    assert not check(made).leaked


def test_the_shares_are_reached_and_never_exceeded() -> None:
    made = split(corpus_of(), dev=0.1, test=0.25)
    sizes = {side: len(judged) for side, judged in made.qrels.items()}
    assert sum(sizes.values()) == 120
    assert 28 <= sizes["test"] <= 30
    assert 10 <= sizes["dev"] <= 12
    by_number = split(corpus_of(), dev=0, test=20)
    assert 18 <= len(by_number.qrels["test"]) <= 20
    assert "dev" not in by_number.qrels


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    data = corpus_of()
    rng = random.Random(3)

    def shuffled(rows: dict[str, Any]) -> dict[str, Any]:
        keys = list(rows)
        rng.shuffle(keys)
        return {key: rows[key] for key in keys}

    other = DataSet.of(
        corpus=shuffled(dict(data.corpus)),
        queries=shuffled(dict(data.queries)),
        qrels={"test": shuffled(dict(data.qrels["train"]))},
    )
    assert split(data, seed=5).fingerprint == split(other, seed=5).fingerprint
    assert split(data, seed=5).fingerprint != split(data, seed=6).fingerprint


def test_old_splits_are_forgotten_and_no_judgement_is_lost() -> None:
    data = corpus_of()
    once = split(data, seed=1)
    assert split(once, seed=2).fingerprint == split(data, seed=2).fingerprint
    assert {qid: docs for judged in once.qrels.values() for qid, docs in judged.items()} == dict(
        data.qrels["train"]
    )


def test_queries_on_known_documents_are_held_back_when_asked() -> None:
    made = split(corpus_of(), dev=0.1, test=0.2, hold_back_known=0.1)
    known, new = made.known_and_new("test")
    assert 8 <= len(known) <= 12
    assert new
    assert not made.known_and_new("dev")[0]
    assert leaks(made) == ()


def test_topics_stay_together_when_asked() -> None:
    data = corpus_of()
    queries = {
        qid: Query(id=qid, text=query.text, group=f"topic {int(qid[1:-1]) // 5}")
        for qid, query in data.queries.items()
    }
    data = DataSet.of(corpus=data.corpus, queries=queries, qrels=data.qrels)
    made = split(data, by="group", dev=0.2, test=0.3)
    topics = [{queries[qid].group for qid in judged} for judged in made.qrels.values()]
    assert not any(one & two for one, two in combinations(topics, 2))


def test_a_side_is_never_empty_silently() -> None:
    one_answer = DataSet.of(
        corpus={"d": Document(id="d", text="a")},
        queries={f"q{n}": Query(id=f"q{n}", text=f"question {n * n}") for n in range(20)},
        qrels={"train": {f"q{n}": {"d": 1.0} for n in range(20)}},
    )
    with pytest.raises(UnusableDataError, match="20 hang together") as caught:
        split(one_answer)
    assert {finding.code for finding in caught.value.findings} == {"cannot-split"}
    with pytest.raises(UnusableDataError, match="side would be empty"):
        split(DataSet.of(corpus={}, queries={}, qrels={}))


def test_a_side_far_smaller_than_asked_is_told() -> None:
    corpus = {f"d{n}": Document(id=f"d{n}", text=f"text {n * 7919}") for n in range(6)}
    queries = {f"q{n}": Query(id=f"q{n}", text=f"question {n * 104729}") for n in range(30)}
    judged = {f"q{n}": {f"d{max(0, n - 25)}": 1.0} for n in range(30)}
    made = split(
        DataSet.of(corpus=corpus, queries=queries, qrels={"train": judged}), dev=0, test=0.5
    )
    assert len(made.qrels["test"]) <= 5
    assert [note.code for note in made.notes] == ["small-side"]


@pytest.mark.parametrize(
    "shares", [{"test": -0.1}, {"test": 1.5}, {"dev": 0.5, "test": 0.5}, {"test": 1000}]
)
def test_shares_out_of_range_are_refused(shares: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        split(corpus_of(), **shares)
