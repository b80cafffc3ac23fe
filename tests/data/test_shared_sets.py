"""The shared sets: they pass, and what is known and new in them is what their makers counted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.data import DataSet, Query, check, read, split
from ragd_tune.data.leaks import leaks

Shared = Callable[[str], Path]
SETS = ["medquad", "nl2bash", "apibench"]


@pytest.fixture(scope="module")
def loaded(shared_data: Shared) -> Callable[[str], DataSet]:
    made: dict[str, DataSet] = {}

    def load(name: str) -> DataSet:
        return made.setdefault(name, read(shared_data(name)))

    return load


@pytest.mark.parametrize("name", SETS)
def test_a_shared_set_passes_the_strict_check(
    name: str, loaded: Callable[[str], DataSet], shared_data: Shared
) -> None:
    data = loaded(name)
    meta = json.loads((shared_data(name) / "META.json").read_text(encoding="utf-8"))["stats"]
    report = check(data, strict=True)
    assert report.ok
    assert report.leaked == frozenset()
    assert not {finding.level for finding in report.findings} & {"error", "warning"}
    assert report.stats.documents == meta["docs"]
    found = report.stats.splits
    assert {side: part.queries for side, part in found.items()} == meta["queries"]
    assert {side: part.pairs for side, part in found.items()} == meta["pairs"]
    assert found["test"].new == meta["test_queries_whose_docs_are_all_unseen_in_train"]
    assert found["test"].known == meta["queries"]["test"] - found["test"].new


@pytest.mark.parametrize("name", SETS)
def test_a_typing_error_of_a_test_query_is_caught_among_real_queries(
    name: str, loaded: Callable[[str], DataSet]
) -> None:
    data, rng = loaded(name), random.Random(0)
    chosen = rng.sample(sorted(data.qrels["test"]), 50)
    queries, train = dict(data.queries), dict(data.qrels["train"])
    for qid in chosen:
        text = data.queries[qid].text
        at = rng.randrange(len(text) - 1)
        text = rng.choice((text[:at] + text[at + 1 :], text.upper(), f"{text} ?!", f" {text}"))
        queries[f"leak {qid}"] = Query(id=f"leak {qid}", text=text)
        train[f"leak {qid}"] = data.qrels["test"][qid]
    leaky = DataSet.of(
        corpus=data.corpus, queries=queries, qrels={"train": train, "test": data.qrels["test"]}
    )
    leaked = {leak.qid for leak in leaks(leaky)}
    assert leaked >= set(chosen)
    assert len(leaked) < 60


@pytest.mark.parametrize("name", ["medquad", "apibench"])
def test_a_shared_set_can_be_split_anew(name: str, loaded: Callable[[str], DataSet]) -> None:
    data = loaded(name)
    made = split(data, seed=1, dev=0.05, test=0.2)
    assert len(made.qrels["test"]) == pytest.approx(0.2 * len(data.queries), rel=0.02)
    assert not made.known_and_new("test")[0]
    assert leaks(made) == ()
