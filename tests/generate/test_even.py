"""Questions to judge by are spread over the documents, by nothing but their number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune import cli
from ragd_tune.data import DataSet, Document, Query, read
from ragd_tune.data.generate.even import FEW, SHARE, Evened, even, room
from ragd_tune.errors import DONE
from ragd_tune.evaluate.significance import ENOUGH, effective_clusters
from ragd_tune.testing.machine import Machine
from ragd_tune.testing.samples import WORDS


def asked(sizes: Mapping[str, Sequence[int]], *, backwards: bool = False) -> DataSet:
    """Return a set with so many questions about each document of a split; ids follow the order."""
    rows = [
        (split, f"{split}-{number}", f"{split} question {place} about {number}")
        for split, counts in sizes.items()
        for number, count in enumerate(counts)
        for place in range(count)
    ]
    corpus, queries = {}, {}
    qrels: dict[str, dict[str, dict[str, float]]] = {}
    for place, (split, document, text) in enumerate(reversed(rows) if backwards else rows):
        passage = f"{document}#0"
        corpus[passage] = Document(id=passage, text=f"of {document}", document=document)
        queries[f"q{place}"] = Query(id=f"q{place}", text=text)
        qrels.setdefault(split, {})[f"q{place}"] = {passage: 1.0}
    negatives = {"q0": ("train-1#0",)} if "train" in sizes else {}
    return DataSet.of(corpus=corpus, queries=queries, qrels=qrels, negatives=negatives)


def texts(data: DataSet, split: str = "test") -> set[str]:
    return {data.queries[qid].text for qid in data.qrels[split]}


def weigh(sizes: Sequence[int], most: int) -> float:
    return effective_clusters([min(size, most) for size in sizes])


def test_one_document_with_most_questions_no_longer_forbids_a_proof() -> None:
    sizes = [1_714, *[50] * 62, 2]
    assert weigh(sizes, max(sizes)) < ENOUGH
    data, (told,) = even(asked({"test": sizes}))
    left = [*Counter(data.clusters("test").values()).values()]
    assert effective_clusters(left) >= 2 * ENOUGH
    assert sorted(left)[:-1] == sorted(sizes)[:-1]
    gone = sum(sizes) - sum(left)
    assert told == Evened(split="test", questions=sum(sizes), left_out=gone, most=max(left))
    assert told.told.startswith(f"{gone:,} of 4,816 test questions were left out so that no ")
    assert len(data.queries) == sum(left)


@given(st.lists(st.integers(min_value=1, max_value=120), min_size=1, max_size=60))
def test_as_many_questions_stay_as_let_the_groups_weigh_enough(sizes: list[int]) -> None:
    wanted, most = min(2 * ENOUGH, SHARE * len(sizes)), room(sizes)
    needed = min(ENOUGH, wanted) if len(sizes) >= ENOUGH else 0
    assert 1 <= most <= max(sizes)
    assert weigh(sizes, most) >= (wanted if most > FEW else needed)
    assert all(
        weigh(sizes, more) < (wanted if more > FEW else needed)
        for more in range(most + 1, max(sizes) + 1)
    )


def test_few_questions_are_not_made_fewer_where_a_proof_has_groups_enough() -> None:
    sizes = [60] * 16 + [1] * 17
    assert weigh(sizes, max(sizes)) < ENOUGH
    assert weigh(sizes, 6) < SHARE * len(sizes)
    assert weigh(sizes, room(sizes)) >= ENOUGH > weigh(sizes, room(sizes) + 1)
    even_sized = [15] * 20 + [1] * 30
    assert ENOUGH < weigh(even_sized, 15) < SHARE * len(even_sized)
    assert room(even_sized) == 15
    assert room([400, 1, 1]) == FEW  # three documents prove nothing, however even


def test_where_no_document_weighs_too_much_every_question_stays() -> None:
    data = asked({"train": [9], "dev": [3] * 12, "test": [6, 5] * 25})
    assert even(data) == (data, ())


def test_a_set_without_questions_to_judge_by_stays_as_it_is() -> None:
    data = asked({"train": [500, 1, 1]})
    assert even(data) == (data, ())
    assert room([]) == 0


def test_training_questions_and_their_negatives_stay_however_uneven() -> None:
    data = asked({"train": [400, 1, 1], "dev": [80, 2, 2], "test": [200, *[3] * 30]})
    evened, told = even(data)
    assert [one.split for one in told] == ["dev", "test"]
    assert evened.qrels["train"] == data.qrels["train"]
    assert evened.negatives == data.negatives
    assert evened.corpus == data.corpus
    assert set(evened.queries) == {qid for judged in evened.qrels.values() for qid in judged}


def test_which_questions_stay_depends_on_their_text_alone() -> None:
    sizes = {"test": [300, 90, *[4] * 30]}
    one, _ = even(asked(sizes))
    other, _ = even(asked(sizes, backwards=True))
    assert texts(one) == texts(other) < texts(asked(sizes))
    kept = {text for text in texts(one) if text.endswith("about 0")}
    places = sorted(int(text.split()[2]) for text in kept)
    assert places != list(range(len(places)))  # not simply the first ones of the document


def test_the_documents_of_a_user_end_in_a_set_that_says_what_was_left_out(
    machine: Machine, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    parts = [f"## Rule {word}\n\nThe {word} goes before the {word}ing.\n" for word in WORDS[:25]]
    for number in range(3):  # whichever of them is held back outweighs the others
        text = f"# Ward {number}\n\n" + "\n".join(
            part.replace("##", f"## {number}") for part in parts
        )
        (folder / f"ward{number}.md").write_text(text, encoding="utf-8")
    given = ["data", "generate", str(folder), "--out", str(out), "--generator", "headings"]
    more = ["--base", str(machine.base), "--offline", "--test", "0.6"]
    assert cli.run([*given, *more]) == DONE
    data, said = read(out), capsys.readouterr().out
    told = data.about["evened"]
    assert isinstance(told, dict)
    assert f"note: {told['test']['left_out']} of {told['test']['questions']} test questions" in said
    assert len(data.qrels["test"]) == told["test"]["questions"] - told["test"]["left_out"]
    rows = (out / "questions.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(row)["_id"] for row in rows} == set(data.queries)
