from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.raft.conftest import make

from ragd_tune.backends import Limits, RerankRequest
from ragd_tune.data import DataSet
from ragd_tune.data.raft import ABSTAIN, ANSWER, write_examples
from ragd_tune.errors import DataError
from ragd_tune.evaluate import Report
from ragd_tune.kinds import Profile, Trial
from ragd_tune.options import CAUSAL_LM, RUN, Value
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.testing import KindSuite
from ragd_tune_raft.kind import Raft


class Reader:
    """A model that answers by a rule."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        self.facts = ModelFacts(max_length=4096)
        self.rule = rule
        self.limits: Limits | None = None

    def embed(self, texts: Sequence[str], role: Role) -> Any:
        raise NotImplementedError

    def rerank(self, requests: Sequence[RerankRequest]) -> Any:
        raise NotImplementedError

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        self.limits = limits
        return [self.rule(prompt) for prompt in prompts]


def name_in(prompt: str) -> str:
    return prompt.partition("Where does ")[2].partition(" live?")[0]


def careful(prompt: str) -> str:
    """Look the right sentence up; say so where there is none."""
    start = f"{name_in(prompt)} lives in "
    town = prompt.partition(start)[2].partition(".")[0]
    if not town:
        return f"{ANSWER} {ABSTAIN}"
    return f"##begin_quote##{start}{town}.##end_quote## {ANSWER} {town.upper()}!"


def careless(prompt: str) -> str:
    """Take the first town that there is, and quote what nobody said."""
    town = prompt.partition(" lives in ")[2].partition(".")[0]
    return f"##begin_quote##It is {town}##end_quote## {ANSWER} {town}"


class TestRaft(KindSuite):
    kind = "raft"

    def data(self) -> DataSet:
        if not hasattr(type(self), "made"):
            type(self).made = make(Path(tempfile.mkdtemp()), people=160)  # type: ignore[attr-defined]
        found: DataSet = type(self).made  # type: ignore[attr-defined]
        return found

    def poor(self, data: DataSet) -> Any:
        return Reader(careless)

    def good(self, data: DataSet) -> Any:
        return Reader(careful)


def options(**changes: Value) -> dict[str, Value]:
    every = (*RUN, *CAUSAL_LM, *Raft().options)
    return {option.name: option.default for option in every} | changes


def prove(data: DataSet, before: Reader, after: Reader, **changes: Value) -> Report:
    judging = {one.name: one.default for one in Raft().options if one.group == "proof"}
    return Raft().prove(
        Trial(
            data=data,
            split="test",
            open_incumbent=lambda: before,
            open_candidate=lambda: after,
            options=judging | changes,
        )
    )


def test_a_row_has_documents_question_and_answer_and_keeps_what_it_stands_on(
    data: DataSet,
) -> None:
    rows = Raft().rows(data, "causal_lm", options(oracle_share=1.0, system_prompt="Be brief."))
    row = next(row for row in rows.train if "Person0 live" in str(row["prompt"]))
    oracle = data.corpus["d0"].passage
    assert row["keep"] == ["Where does Person0 live?", oracle]
    assert str(row["prompt"]).count("<DOCUMENT>") == 5
    assert row["completion"] == (
        "##Reason: ##begin_quote##Person0 lives in town0.##end_quote## <ANSWER>: town0"
    )
    assert row["system"] == "Be brief."
    assert len(rows.dev) == len(data.qrels["dev"])


@pytest.mark.parametrize(
    ("without", "said"), [("answer", "<ANSWER>: town0"), ("abstain", f"<ANSWER>: {ABSTAIN}")]
)
def test_without_the_oracle_the_answer_is_learned_or_abstaining(
    data: DataSet, without: str, said: str
) -> None:
    rows = Raft().rows(data, "causal_lm", options(oracle_share=0.0, without_oracle=without))
    row = next(row for row in rows.train if "Person0 live" in str(row["prompt"]))
    assert str(row["completion"]).endswith(said)
    assert row["keep"] == ["Where does Person0 live?"]
    assert data.corpus["d0"].passage not in str(row["prompt"])


def test_misquoted_examples_are_refused_or_left_out(data: DataSet) -> None:
    from ragd_tune.data.raft import read_examples

    path = data.source / "raft_train.jsonl"
    some = list(read_examples(path).examples)
    some[0] = replace(some[0], reasoning="##begin_quote##No.##end_quote##")
    write_examples(path, some)
    with pytest.raises(DataError, match=r"raft_train.jsonl:1"):
        Raft().rows(data, "causal_lm", options())
    assert len(Raft().rows(data, "causal_lm", options(misquoted="drop")).train) == len(some) - 1


def test_a_proof_tells_answers_quotes_and_abstentions_in_every_kind_of_context(
    tmp_path: Path,
) -> None:
    report = prove(make(tmp_path, people=160), Reader(careless), Reader(careful))
    found = {cell.metric: (cell.before, cell.after) for cell in report.cells if cell.part == "all"}
    assert found["match"][0] < 0.6
    assert found["match"][1] == 1.0
    assert found["exact"] == (found["match"][0], 0.0)
    assert found["quotes"] == (0.0, 1.0)
    assert found["citations"] == (0.0, 1.0)
    assert found["match (oracle alone)"] == (1.0, 1.0)
    assert found["abstains (oracle absent)"] == (0.0, 1.0)
    assert report.passed


def test_quotes_from_a_distractor_are_precise_and_no_citations(data: DataSet) -> None:
    def other(prompt: str) -> str:
        text = prompt.partition("<DOCUMENT>")[2].partition("</DOCUMENT>")[0]
        return f"##begin_quote##{text}##end_quote## {ANSWER} x"

    report = prove(data, Reader(careless), Reader(other))
    found = {cell.metric: cell.after for cell in report.cells if cell.part == "all"}
    assert found["quotes"] == 1.0
    assert found["citations"] < 0.6


def test_both_sides_get_the_same_prompts_and_limits(data: DataSet) -> None:
    seen: list[list[str]] = [[], []]

    def note(at: int, prompt: str) -> str:
        seen[at].append(prompt)
        return ""

    sides = [Reader(partial(note, at)) for at in (0, 1)]
    prove(data, *sides, answer_tokens=9, judged_system="Be brief.")
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3 * len(data.qrels["test"])
    assert sides[0].limits is not None
    assert sides[0].limits == sides[1].limits
    assert replace(sides[0].limits, keep=()) == Limits(max_tokens=9, system="Be brief.")


def test_a_long_prompt_may_lose_distractors_in_the_proof_and_no_question_or_oracle(
    data: DataSet,
) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    class Noting(Reader):
        def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
            asked.extend(zip(prompts, limits.keep, strict=True))
            return super().generate(prompts, limits)

    prove(data, Noting(careless), Reader(careful))
    assert len(asked) == 3 * len(data.qrels["test"])
    for prompt, keep in asked:
        question, *oracle = keep
        assert f"\n{question}\n" in prompt
        lives = question.replace("Where does", "").replace("live?", "lives in").strip()
        assert [lives in text for text in oracle] == ([True] if lives in prompt else [])
        assert all(text in prompt for text in oracle)


def test_questions_without_an_answer_are_counted(data: DataSet) -> None:
    from ragd_tune.data.raft import read_examples

    path = data.source / "raft_test.jsonl"
    write_examples(path, list(read_examples(path).examples)[:-2])
    assert prove(data, Reader(careless), Reader(careful)).counts.unjudged == 2
    write_examples(path, [])
    with pytest.raises(DataError, match="no question of test has an answer"):
        prove(data, Reader(careless), Reader(careful))


def test_the_defaults_are_good_practice() -> None:
    for tuning in Raft().tunings:
        made = Raft().defaults(
            Profile(tuning=tuning, side="both", rows=99, device="cpu", cores=2, memory=0)
        )
        assert np.float64(made["learning_rate"]) <= 3e-4  # type: ignore[arg-type]
        assert made["epochs"] <= 3.0  # type: ignore[operator]
        assert made["batch_size"] >= 32  # type: ignore[operator]
