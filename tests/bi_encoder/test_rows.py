from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.data import DataSet, Document, Query, read
from ragd_tune.data.contrast import rows
from ragd_tune.errors import DataError
from ragd_tune.objectives import CONTRASTIVE_OBJECTIVE, batches, passage_keys
from ragd_tune.options import CONTRASTIVE, RUN
from ragd_tune_bi_encoder.kind import BiEncoder


def data(**changes: object) -> DataSet:
    fields: dict[str, object] = {
        "corpus": {
            name: Document(id=name, text=text, title=title)
            for name, text, title in (
                ("a", "about A", ""),
                ("a2", "About  a", ""),
                ("b", "about B", "B"),
                ("c", "about C", ""),
                ("d", "about D", ""),
            )
        },
        "queries": {
            name: Query(id=name, text=text)
            for name, text in (("q1", "what is A"), ("q2", "What is  a"), ("q3", "B"), ("q4", "D"))
        },
        "qrels": {
            "train": {"q1": {"a": 1.0}, "q2": {"c": 1.0}, "q3": {"b": 1.0}},
            "dev": {"q3": {"c": 1.0}},
            "test": {"q1": {"d": 1.0}, "q4": {"d": 1.0}},
        },
        "negatives": {"q1": ("c", "a2", "b", "d"), "q3": ("b",)},
    }
    return DataSet.of(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_row_is_a_relevant_pair_and_fits_the_schema() -> None:
    made = rows(data(), negatives=0)
    assert [(row["query"], row["positive"]) for row in made.train] == [
        ("what is A", "about A"),
        ("What is  a", "about C"),
        ("B", "B about B"),
    ]
    assert [row["positive"] for row in made.dev] == ["about C"]
    for row in (*made.train, *made.dev):
        CONTRASTIVE_OBJECTIVE.check(row, where="here")


def test_queries_of_the_same_text_share_what_is_relevant_to_them() -> None:
    first, second, _ = rows(data(), negatives=0).train
    assert first["relevant_keys"] == second["relevant_keys"] == ["a", "c"]


def test_judgements_of_the_test_split_are_never_read() -> None:
    without = data(qrels={k: v for k, v in data().qrels.items() if k != "test"})
    assert rows(data(), negatives=4) == rows(without, negatives=4)


def test_documents_of_the_same_text_are_one_passage() -> None:
    judged = {"train": {"q1": {"a": 1.0}, "q3": {"a2": 1.0}}}
    made = rows(data(qrels=judged), negatives=0).train
    assert [row["positive_key"] for row in made] == ["a", "a"]
    assert all(len(batch) == 1 for batch in batches_of(made)), "each is a positive of the other"


def batches_of(made: object) -> list[list[int]]:
    kept = [{**row, "negatives": ["x"]} for row in made]  # type: ignore[attr-defined]
    return batches(kept, batch_size=4, seed=0, epoch=0)


def test_negatives_that_are_positives_are_left_out_and_only_as_many_as_asked_for_count() -> None:
    row = rows(data(), negatives=1).train[0]
    assert row["negatives"] == ["B about B"]
    assert passage_keys(row) == {"a", "b"}
    assert rows(data(), negatives=9).train[0]["negative_keys"] == ["b", "d"]
    assert "negatives" not in rows(data(), negatives=0).train[0]
    assert "negatives" not in rows(data(), negatives=9).train[2]


def test_data_without_training_pairs_says_what_is_needed() -> None:
    with pytest.raises(DataError, match="no training pairs") as refused:
        rows(data(qrels={"test": {"q1": {"a": 1.0}}}), negatives=1)
    assert "qrels/train.tsv" in refused.value.mend


@pytest.mark.parametrize("name", ["medquad", "nl2bash", "apibench"])
def test_no_batch_of_real_data_holds_a_false_negative(
    shared_data: Callable[[str], Path], name: str
) -> None:
    source = read(shared_data(name))
    made = rows(source, negatives=1).train
    relevant: dict[str, set[str]] = {}
    for pair in source.pairs("train"):
        relevant.setdefault(pair.query.text.lower(), set()).add(pair.document.passage)
    taken = 0
    for batch in batches(made, batch_size=32, seed=0, epoch=0):
        taken += len(batch)
        passages = [made[i]["positive"] for i in batch]
        assert len(set(passages)) == len(passages)
        for place, i in enumerate(batch):
            others = {text for j, text in enumerate(passages) if j != place}
            assert not others & relevant[str(made[i]["query"]).lower()]
    assert taken >= 0.96 * len(made), "rows of a passage with many queries end alone, a few in all"


@pytest.mark.parametrize(
    ("option", "value"), [("learning_rate", 1), ("temperature", 0), ("epochs", "many")]
)
def test_a_bad_value_names_the_option_and_its_range(option: str, value: object) -> None:
    from ragd_tune.errors import UsageError

    declared = next(one for one in (*RUN, *CONTRASTIVE) if one.name == option)
    with pytest.raises(UsageError) as refused:
        declared.parse(value, where="--here")
    assert option in refused.value.message
    assert declared.range in refused.value.mend


def test_the_kind_declares_what_it_is() -> None:
    kind = BiEncoder()
    assert (kind.objectives[0], kind.serves, kind.gate_metric) == (
        "contrastive",
        "embedder",
        "ndcg@10",
    )
    assert set(kind.tunings) == {"lora", "full", "map"}
