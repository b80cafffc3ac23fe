"""Hard negatives are mined by the base where the data brings none, and never from a test split."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune import serve
from ragd_tune.data import read, write
from ragd_tune.errors import NotInstalledError
from ragd_tune.objectives.reading import passages
from ragd_tune.pipeline import Planned, Request, plan, workshop
from ragd_tune.pipeline.opening import Embedders
from ragd_tune.testing.machine import Machine


def planned(machine: Machine, **given: object) -> Planned:
    return plan_of(machine, "bi-encoder", given)


def plan_of(machine: Machine, kind: str, given: Mapping[str, object]) -> Planned:
    asked = {"base": str(machine.base), "backend": machine.backend, **given}
    return plan(workshop(), Request(kind=kind, data=machine.data, given=asked))


def reranker(machine: Machine, **given: object) -> Planned:
    first = {"first_stage": str(machine.base), "negatives_from": "first-stage"}
    return plan_of(machine, "cross-encoder", {"tuning": "full", **first, **given})


def found_first(machine: Machine, depth: int) -> dict[str, list[str]]:
    """Return the texts that the base ranks first, by the query's text."""
    data = read(machine.data)
    with ExitStack() as stack:
        model = Embedders(shop=workshop(), stack=stack).embedder(str(machine.base))
        texts = [document.passage for document in data.corpus.values()]
        asked = [query.text for query in data.queries.values()]
        queries = np.asarray(model.embed(asked, "query"))
        scores = queries @ np.asarray(model.embed(texts, "document")).T
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :depth].tolist()
    return {query: [texts[i] for i in row] for query, row in zip(asked, ranked, strict=True)}


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How often a model was opened, and how."""
    seen: list[dict[str, Any]] = []
    really = serve.open_model

    def open_model(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs)
        return really(*args, **kwargs)

    monkeypatch.setattr(serve, "open_model", open_model)
    return seen


def test_rows_get_the_passages_that_the_base_takes_for_answers_and_that_are_none(
    machine: Machine, loads: list[dict[str, Any]]
) -> None:
    made = planned(machine)
    assert [one["precision"] for one in loads] == ["auto"]
    data = read(machine.data)
    texts = {doc.passage: did for did, doc in data.corpus.items()}
    asked = {query.text: qid for qid, query in data.queries.items()}
    with_some = [row for row in made.rows.train if row.get("negatives")]
    assert len(with_some) > len(made.rows.train) / 2
    for row in with_some:
        found = [texts[text] for text in row["negatives"]]  # type: ignore[attr-defined]
        assert 1 <= len(found) <= 4
        judged = data.qrels["train"][asked[str(row["query"])]]
        assert not set(found) & set(judged)


def test_the_same_training_mines_once(machine: Machine, loads: list[dict[str, Any]]) -> None:
    first, second = planned(machine), planned(machine)
    assert len(loads) == 1
    assert first.plan.id == second.plan.id
    left = [path.name for path in (machine.home / "mined").rglob("*") if path.is_file()]
    assert left == ["mined.jsonl"]


@pytest.mark.parametrize("given", [{"mine": "no"}, {"negatives": 0}])
def test_nothing_is_mined_where_nothing_is_wanted(
    machine: Machine, loads: list[dict[str, Any]], given: dict[str, object]
) -> None:
    made = planned(machine, **given)
    assert loads == []
    assert not any(row.get("negatives") for row in made.rows.train)


def test_negatives_of_the_data_are_the_ones_that_are_used(
    machine: Machine, loads: list[dict[str, Any]]
) -> None:
    data = read(machine.data)
    qid = next(iter(data.qrels["train"]))
    other = next(did for did in data.corpus if did not in data.qrels["train"][qid])
    shutil.rmtree(machine.data)
    write(data.with_negatives({qid: (other,)}), machine.data)
    made = planned(machine)
    assert loads == []
    with_some = [row for row in made.rows.train if row.get("negatives")]
    assert [row["negatives"] for row in with_some] == [[data.corpus[other].passage]]


def test_what_the_test_split_says_changes_no_negative(machine: Machine, tmp_path: Path) -> None:
    before = planned(machine).rows.fingerprint
    data = read(machine.data)
    answers = list(data.qrels["test"].values())
    turned = dict(zip(data.qrels["test"], answers[1:] + answers[:1], strict=True))
    shutil.rmtree(machine.data)
    write(data.with_qrels({**data.qrels, "test": turned}), machine.data)
    assert planned(machine).rows.fingerprint == before


def test_a_reranker_learns_from_what_its_first_stage_finds_even_above_the_answer(
    machine: Machine,
) -> None:
    first = found_first(machine, 10)
    above = 0
    for row in reranker(machine, mine_depth=10).rows.train:
        answer, *negatives = passages(row)
        ranked = first[str(row["query"])]
        found = [text for text in negatives if text in ranked]
        assert len(found) == min(len(negatives), len(set(ranked) - {answer}))
        place = ranked.index(answer) if answer in ranked else len(ranked)
        above += sum(ranked.index(text) < place for text in found)
    assert above > 0


@pytest.mark.parametrize(
    "given", [{"negatives_from": "bm25"}, {"first_stage": "bm25"}, {"negatives_from": "data"}]
)
def test_a_reranker_asks_no_embedder_where_none_is_its_first_stage(
    machine: Machine, loads: list[dict[str, Any]], given: dict[str, object]
) -> None:
    made = reranker(machine, **given)
    assert loads == []
    with_some = [row for row in made.rows.train if len(passages(row)) > 1]
    assert bool(with_some) == (given.get("negatives_from") != "data")


def test_what_a_first_stage_found_is_kept_for_the_next_training(
    machine: Machine, loads: list[dict[str, Any]]
) -> None:
    first = reranker(machine)
    opened = len(loads)
    assert opened > 0
    assert reranker(machine).plan.id == first.plan.id
    assert len(loads) == opened


def test_a_first_stage_that_is_not_here_is_named_with_what_else_there_is(machine: Machine) -> None:
    with pytest.raises(NotInstalledError, match="first stage") as caught:
        reranker(machine, first_stage=str(machine.home / "nowhere"))
    assert "--negatives-from bm25" in caught.value.mend


def generated_by(machine: Machine, generator: str) -> None:
    data = read(machine.data)
    told = {"generated": ["train"], "origins": [{"generator": generator, "questions": 1}]}
    shutil.rmtree(machine.data)
    write(data, machine.data, about=told)


def test_questions_made_without_a_language_model_get_defaults_of_their_own_and_say_so(
    machine: Machine, loads: list[dict[str, Any]]
) -> None:
    generated_by(machine, "headings")
    made = planned(machine)
    assert loads == []
    assert not any(row.get("negatives") for row in made.rows.train)
    assert made.settings["mine"].value == "no"
    assert made.settings["mine"].source == "kind"
    assert "without a language model" in made.settings["mine"].where
    assert made.settings["batch_size"].where == "the kind's default"
    assert planned(machine, mine="auto").settings["mine"].value == "auto"


@pytest.mark.parametrize("generator", ["llm", ""])
def test_questions_of_people_or_of_a_language_model_keep_the_measured_defaults(
    machine: Machine, generator: str
) -> None:
    if generator:
        generated_by(machine, generator)
    assert planned(machine, max_steps=1).settings["mine"].value == "auto"
