from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.mine.conftest import data_of, embed

from ragd_tune.data import DataSet, Document, Query
from ragd_tune.data.mine import Mining, Selector, mine, rank_fusion
from ragd_tune.data.mine.dense import Dense, embed_all
from ragd_tune.data.mine.lexical import Lexical
from ragd_tune.data.mine.select import limit
from ragd_tune.errors import DataError, NotInstalledError
from ragd_tune.testing.samples import WORDS, tiny_data

TEXTS = {
    "answer": "the red pump is started by the lever",
    "same": "the red pump is started by the lever!",
    "close": "the red pump is started by a lever and a key",
    "next": "the red pump stops at noon",
    "hard": "the blue pump is a painting",
    "far": "apples grow on trees",
}
QUERIES = {"q": ("red pump started lever", "answer")}


def mined(data: DataSet, folder: Path, **asked: object) -> list[str]:
    settings = Mining(**{"per_query": 10, **asked})  # type: ignore[arg-type]
    return list(mine(data, settings, folder, embed=embed).negatives.get("q", ()))


def test_what_would_teach_a_mistake_is_left_out_and_counted(tmp_path: Path) -> None:
    data = data_of(TEXTS, QUERIES, answer="book", next="book", same="other")
    made = mine(data, Mining(per_query=10, margin=0.9), tmp_path, embed=embed)
    assert made.negatives["q"] == ("hard", "far")
    assert made.dropped == {"relevant": 1, "duplicate": 1, "neighbour": 1, "too-close": 1}
    assert made.looked_at == 6


def test_without_the_margin_only_what_is_known_to_be_right_is_left_out(tmp_path: Path) -> None:
    data = data_of(TEXTS, QUERIES)
    found = mined(data, tmp_path, margin=None)
    assert found[:2] == ["close", "next"]
    assert "answer" not in found
    assert "same" not in found


def test_the_hardest_come_first_and_no_more_than_asked(tmp_path: Path) -> None:
    data = data_of(TEXTS, QUERIES)
    everything = mined(data, tmp_path / "a", margin=None)
    assert mined(data, tmp_path / "b", margin=None, per_query=2) == everything[:2]
    assert mined(data, tmp_path / "c", margin=None, per_query=2, skip=1) == everything[1:3]


def test_answers_of_any_split_are_never_negatives_and_test_is_never_mined_for(
    tmp_path: Path,
) -> None:
    corpus = {did: Document(id=did, text=text) for did, text in TEXTS.items()}
    queries = {"q": Query(id="q", text="red pump started lever"), "t": Query(id="t", text="pump")}
    data = DataSet.of(
        corpus=corpus,
        queries=queries,
        qrels={"train": {"q": {"answer": 1.0}}, "test": {"q": {"close": 1.0}, "t": {"hard": 1.0}}},
    )
    made = mine(data, Mining(per_query=10, margin=None), tmp_path, embed=embed)
    assert set(made.negatives) == {"q"}
    assert not {"answer", "close"} & set(made.negatives["q"])


def test_the_margin_is_a_share_of_the_positives_score_on_either_side_of_zero() -> None:
    assert limit(0.8, 0.95) == pytest.approx(0.76)
    assert limit(-1.0, 0.95) == pytest.approx(-1.05)


def test_a_teacher_decides_where_one_is_given_and_its_scores_are_kept(tmp_path: Path) -> None:
    data = data_of(TEXTS, QUERIES)

    def rescore(query: str, passages: Sequence[str]) -> list[float]:
        return [1.0 if "red" in text and "noon" not in text else 0.1 for text in passages]

    made = mine(data, Mining(per_query=2), tmp_path, embed=embed, rescore=rescore, teacher="t")
    assert set(made.negatives["q"]) <= {"next", "hard", "far"}
    assert made.teacher["q"]["answer"] == 1.0
    assert set(made.teacher["q"]) == {"answer", *made.negatives["q"]}


def test_bm25_alone_needs_no_model(tmp_path: Path) -> None:
    data = data_of(TEXTS, QUERIES)
    made = mine(data, Mining(retrievers=("bm25",), margin=None), tmp_path)
    assert made.negatives["q"][0] == "close"
    with pytest.raises(DataError, match="embedder"):
        mine(data, Mining(), tmp_path)


def test_fusion_prefers_what_both_rankings_have() -> None:
    assert rank_fusion([1, 2, 3], [3, 9]) == [3, 1, 2, 9]
    assert rank_fusion([1], []) == [1]


def test_a_query_without_known_words_finds_nothing_by_bm25_and_others_are_not_shifted() -> None:
    index = Lexical(list(TEXTS.values()))
    found = list(index.search(["zzz", "apples", "", "noon"], 3))
    assert [numbers.tolist() for _, numbers in found] == [[], [5], [], [3]]


def test_bm25_scores_are_those_of_its_formula() -> None:
    passages = ["a a b", "b c", "c c c d"]
    (got,) = [Lexical(passages).score("a")]
    # idf = ln(1 + (N - df + 0.5) / (df + 0.5)); tf part f / (f + k1 (1 - b + b · length / mean))
    idf = np.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 2 / (2 + 1.5 * (1 - 0.75 + 0.75 * 3 / 3))
    assert got.tolist() == pytest.approx([expected, 0, 0], rel=1e-5)


def test_vectors_are_embedded_once_and_read_back(tmp_path: Path) -> None:
    calls: list[int] = []

    def counting(texts: Sequence[str], role: str) -> np.ndarray:
        calls.append(len(texts))
        return embed(texts, role)

    passages = [f"passage {number}" for number in range(2500)]
    one = embed_all(passages, counting, tmp_path)
    assert calls == [1024, 1024, 452]
    assert np.array_equal(one, embed(passages, "document"))
    two = embed_all(passages, counting, tmp_path)
    assert len(calls) == 3
    assert np.array_equal(one, two)


def test_the_approximate_index_finds_most_of_what_exact_search_finds() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, 32))
    rows = centres[rng.integers(0, 40, 5000)] + 0.3 * rng.standard_normal((5000, 32))
    passages = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    queries = passages[:50]
    _, exact = Dense(passages, index="exact").search(queries, 10)
    _, approximate = Dense(passages, index="approximate").search(queries, 10)
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(exact, approximate, strict=True)]
    assert np.mean(shared) > 0.9


def test_missing_packages_are_named_with_the_command_that_gets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ragd_tune.data.mine import dense, lexical

    for module in (dense, lexical):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(NotInstalledError) as told:
        Lexical(["a"])
    assert "ragd-tune[mine]" in told.value.mend
    with pytest.raises(NotInstalledError, match="faiss"):
        Dense(np.ones((2, 2), np.float32), index="approximate")


def test_the_selector_asks_about_neighbours_of_every_answer() -> None:
    data = data_of(
        {"a": "one two three", "b": "four five", "c": "six seven"},
        {"q": ("x", "a")},
        a="book",
        b="book",
        c="book",
    )
    kept = Selector(data, None).keep("q", [("b", 0.5), ("c", 0.4)], 1.0)
    assert kept == [("c", 0.4)]


def test_results_do_not_depend_on_the_size_of_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragd_tune.data.mine import run

    data = tiny_data(queries=40)
    one = mine(data, Mining(per_query=3), tmp_path / "one", embed=embed)
    monkeypatch.setattr(run, "_QUERIES", 7)
    two = mine(data, Mining(per_query=3), tmp_path / "two", embed=embed)
    assert one == two
    assert len(WORDS) > 24
