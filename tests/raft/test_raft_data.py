from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune.data import DataSet, read
from ragd_tune.data.raft import (
    FORMATS,
    Context,
    Contexts,
    Example,
    Mix,
    Template,
    answer_of,
    normalised,
    quotes_of,
    read_examples,
    read_format,
    write_examples,
    write_format,
)
from ragd_tune.data.raft.build import lexical_search
from ragd_tune.errors import DataError, UsageError

ONE = Example(
    question="Who rang the bell?",
    answer="the fox",
    oracle=("At noon it rained. It was the fox who rang it. Then all slept.",),
    reasoning=(
        "##Reason: It says ##begin_quote##It was the fox who rang it.##end_quote## "
        "<ANSWER>: the fox"
    ),
)


def test_examples_are_read_as_they_were_written_packed_or_not(tmp_path: Path) -> None:
    some = [ONE, replace(ONE, reasoning="", oracle_ids=("d1",), distractors=("Bees hum.",))]
    for name in ("raft_train.jsonl", "raft_train.jsonl.gz"):
        write_examples(tmp_path / name, some)
        assert list(read_examples(tmp_path / name).examples) == some
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reasoning": "##begin_quote##It was the Fox.##end_quote## <ANSWER>: fox"}, "the Fox"),
        ({"reasoning": "##begin_quote## ##end_quote## <ANSWER>: fox"}, "an empty quote"),
        ({"answer": " "}, "no answer"),
        ({"oracle": ()}, "no oracle"),
        ({"question": ""}, "no question"),
    ],
)
def test_an_example_that_breaks_a_rule_is_refused_by_line_or_dropped_with_a_count(
    tmp_path: Path, change: dict[str, str], why: str
) -> None:
    path = tmp_path / "raft_train.jsonl"
    write_examples(path, [ONE, replace(ONE, **change)])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"raft_train.jsonl:2: ") as refused:
        read_examples(path)
    assert why in refused.value.message
    found = read_examples(path, drop=True)
    assert list(found.examples) == [ONE]
    assert sum(found.dropped.values()) == 1


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"question": 3}', '{"question": "q", "answer": "a", "oracle": [3]}']
)
def test_a_line_that_is_no_example_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "raft_test.jsonl.gz"
    path.write_bytes(gzip.compress(f"\n{line}\n".encode()))
    with pytest.raises(DataError, match=r"raft_test.jsonl.gz:2: "):
        read_examples(path)


def test_a_quote_is_checked_word_for_word_and_may_have_any_white_space_around_it() -> None:
    assert quotes_of("##begin_quote## a b ##end_quote## c ##begin_quote##d\ne##end_quote##") == [
        "a b",
        "d\ne",
    ]
    assert not ONE.misquoted
    assert replace(ONE, reasoning=ONE.reasoning.replace("was", "is")).misquoted


def test_an_answer_stands_after_the_last_mark_or_is_the_whole_text() -> None:
    assert answer_of("<ANSWER>: one <ANSWER>: two ") == "two"
    assert answer_of(" two ") == "two"
    assert normalised("The  Fox!") == normalised("fox")
    assert normalised("fox") != normalised("a foxglove")


def test_an_answer_without_reasoning_quotes_the_sentence_that_holds_it() -> None:
    plain = replace(ONE, reasoning="")
    assert quotes_of(plain.completion) == ["It was the fox who rang it."]
    assert answer_of(plain.completion) == "the fox"
    other = replace(plain, answer="Reynard", question="Who slept?")
    assert quotes_of(other.completion) == ["Then all slept."]


@given(st.text(), st.lists(st.text(), max_size=4))
def test_a_template_keeps_questions_and_documents_word_for_word(
    question: str, documents: Sequence[str]
) -> None:
    for template in (Template(), Template(whole="{question} | {documents}")):
        filled = template.fill(question, documents)
        assert question in filled
        assert all(one in filled for one in documents)
    empty = Template(whole="{documents}{question}", each="{document}")
    assert empty.fill("{documents}", ["{question}"]) == "{question}{documents}"


def test_a_template_is_read_from_a_file_and_one_without_a_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "template.txt"
    path.write_text("Read: {documents}Now: {question}\n---\n* {document}\n")
    assert Template.read(path).fill("Why?", ["a", "b"]) == "Read: * a\n* b\nNow: Why?"
    path.write_text("Now: {question}")
    with pytest.raises(UsageError, match="documents"):
        Template.read(path)


def contexts(data: DataSet, **mix: float) -> Contexts:
    return Contexts(data=data, search=lexical_search(data), mix=Mix(**mix))  # type: ignore[arg-type]


def examples(data: DataSet, split: str = "train") -> dict[str, Example]:
    found = read_examples(data.source / f"raft_{split}.jsonl").by_question()
    return {qid: found[data.queries[qid].text] for qid in data.qrels[split]}


def test_a_share_of_the_contexts_has_the_oracle_and_all_have_as_many_documents(
    data: DataSet,
) -> None:
    asked = examples(data)
    made = contexts(data, distractors=3, oracle_share=0.6).train(asked)
    assert {len(context.documents) for context in made.values()} == {4}
    having = [context.has_oracle for context in made.values()]
    assert 0.3 < sum(having) / len(having) < 0.9
    for qid, context in made.items():
        assert (asked[qid].oracle[0] in context.documents) == context.has_oracle


@pytest.mark.parametrize(("share", "having"), [(0.0, {False}), (1.0, {True})])
def test_a_share_of_all_or_nothing_is_meant(data: DataSet, share: float, having: set[bool]) -> None:
    made = contexts(data, oracle_share=share).train(examples(data))
    assert {context.has_oracle for context in made.values()} == having


def test_positions_are_shuffled_by_the_seed_and_by_nothing_else(data: DataSet) -> None:
    asked = examples(data)
    made = contexts(data, oracle_share=1.0).train(asked)
    places = {made[qid].documents.index(asked[qid].oracle[0]) for qid in asked}
    assert len(places) > 2
    assert contexts(data, oracle_share=1.0).train(asked) == made
    some = dict(list(asked.items())[3:5])
    again = contexts(data, oracle_share=1.0).train(some)
    assert again == {qid: made[qid] for qid in some}
    assert contexts(data, oracle_share=1.0, seed=1).train(asked) != made


def test_distractors_are_the_hardest_first_and_never_hold_the_answer(data: DataSet) -> None:
    asked = {"q0": examples(data)["q0"]}

    def search(questions: Sequence[str], count: int) -> list[list[str]]:
        return [["d0", "d1", "d7", "d3"]]

    more = replace(asked["q0"], answer="town7")
    made = Contexts(data=data, search=search)
    assert made.hardest(asked, 2)["q0"] == [data.corpus[did].passage for did in ("d1", "d7")]
    assert made.hardest({"q0": more}, 2)["q0"] == [data.corpus[i].passage for i in ("d1", "d3")]
    mined = DataSet.of(
        corpus=data.corpus, queries=data.queries, qrels=data.qrels, negatives={"q0": ("d9",)}
    )
    made = Contexts(data=mined, search=search)
    assert made.hardest(asked, 2)["q0"] == [data.corpus[did].passage for did in ("d9", "d1")]


ROW = (ONE, Context(documents=("Bees hum.", *ONE.oracle), has_oracle=True))


@pytest.mark.parametrize("form", FORMATS)
def test_the_reference_implementations_formats_go_both_ways(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"{form}.jsonl"
    assert write_format(path, [ROW, ROW], form, system="Be brief.") == 2
    found = list(read_format(path))
    assert found == [(replace(ONE, distractors=("Bees hum.",)), ROW[1])] * 2


def test_the_formats_have_the_reference_implementations_fields(tmp_path: Path) -> None:
    fields = {
        "hf": "context cot_answer id instruction oracle_context question type",
        "completion": "completion prompt",
        "chat": "messages",
    }
    asked = "<DOCUMENT>Bees hum.</DOCUMENT>\n<DOCUMENT>At noon"
    for form, names in fields.items():
        write_format(tmp_path / form, [ROW], form, system="Be brief.")
        raw = json.loads((tmp_path / form).read_text())
        assert " ".join(sorted(raw)) == names
        user = raw["messages"][1]["content"] if form == "chat" else ""
        assert (raw.get("instruction") or raw.get("prompt") or user).startswith(asked)
    assert raw["messages"][0] == {"role": "system", "content": "Be brief."}
    with pytest.raises(UsageError, match="no format"):
        write_format(tmp_path / "x", [ROW], "parquet")


def test_a_line_of_no_format_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "raft.jsonl"
    path.write_text('{"prompt": "a"}\n')
    with pytest.raises(DataError, match=r"raft.jsonl:1: "):
        list(read_format(path))


def test_the_shared_set_of_apis_is_read_whole() -> None:
    folder = Path(os.environ.get("RAGD_TUNE_DATA", "../shared/data")) / "apibench"
    if not folder.is_dir():
        pytest.skip(f"{folder}: not here")
    from ragd_tune.data.raft import answered

    data = read(folder)
    for split in ("train", "test"):
        found = answered(data, split)
        assert len(found) > 0.95 * len(data.qrels[split])
        assert all(not one.misquoted for one in found.values())
        right = [
            qid for qid, one in found.items() if set(one.oracle_ids) <= set(data.qrels[split][qid])
        ]
        assert len(right) > 0.95 * len(found)
