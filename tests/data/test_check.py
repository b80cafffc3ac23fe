"""The check: each fault it looks for, with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ragd_tune.data import DataSet, Document, Query, UnusableDataError, check, read, stats
from ragd_tune.errors import UsageError

Beir = Callable[..., Path]


def codes(folder: Path) -> dict[str, tuple[str, str]]:
    return {found.code: (found.level, found.place) for found in check(read(folder)).findings}


def test_duplicates_are_told_and_worse_where_only_one_is_judged(beir: Beir) -> None:
    corpus = [
        {"_id": name, "text": text} for name, text in (("d1", "a  b"), ("d2", "a b"), ("d3", "A b"))
    ]
    queries = [{"_id": "q1", "text": "c"}, {"_id": "q2", "text": "C"}]
    folder = beir(corpus=corpus, queries=queries, qrels={"train": [("q1", "d1", 1)]}, name="odd")
    found = codes(folder)
    assert found["duplicate-document"] == ("warning", f"{folder / 'corpus.jsonl'}:2")
    assert found["duplicate-query"] == ("info", f"{folder / 'queries.jsonl'}:2")
    both = [("q1", "d1", 1), ("q1", "d2", 1)]
    folder = beir(corpus=corpus, queries=queries, qrels={"train": both}, name="even")
    assert codes(folder)["duplicate-document"][0] == "info"


def test_near_duplicate_documents_are_told(beir: Beir) -> None:
    text = "The ship sails from the northern harbour every morning at seven, weather allowing."
    corpus = [
        {"_id": "d1", "text": text},
        {"_id": "d2", "text": text.replace("seven", "sevem")},
        {"_id": "d3", "text": "Something else altogether."},
    ]
    folder = beir(corpus=corpus)
    assert codes(folder)["near-duplicate-document"] == ("info", f"{folder / 'corpus.jsonl'}:2")


def test_binary_and_wrongly_decoded_texts_are_told(beir: Beir) -> None:
    corpus = [
        {"_id": "d1", "text": "plain\ttext\n"},
        {"_id": "d2", "text": "\x01\x02\ufffd\ufffdab"},
    ]
    queries = [{"_id": "q1", "text": "x"}]
    folder = beir(corpus=corpus, queries=queries, qrels={"train": [("q1", "d1", 1)]})
    assert codes(folder)["binary-text"] == ("warning", f"{folder / 'corpus.jsonl'}:2")


def test_ids_that_are_not_there_are_errors_in_data_made_by_hand() -> None:
    data = DataSet.of(
        corpus={"d": Document(id="d", text="a")},
        queries={"q": Query(id="q", text="b")},
        qrels={"train": {"q": {"gone": 1.0}, "lost": {"d": 1.0}}},
        negatives={"q": ("away",)},
    )
    with pytest.raises(UnusableDataError) as caught:
        check(data)
    assert caught.value.total == 3
    for name in ("gone", "lost", "away"):
        assert repr(name) in caught.value.message


def test_too_few_test_queries_are_told_with_the_gain_that_would_show(beir: Beir) -> None:
    queries = [{"_id": f"q{n}", "text": f"question number {n * n} about {n}"} for n in range(200)]
    corpus = [{"_id": f"d{n}", "text": f"answer {n * 7919}"} for n in range(200)]
    for tests, enough in ((99, False), (100, True)):
        judged = {
            "train": [(f"q{n}", f"d{n}", 1) for n in range(tests, 200)],
            "test": [(f"q{n}", f"d{n}", 1) for n in range(tests)],
        }
        report = check(read(beir(corpus=corpus, queries=queries, qrels=judged, name=str(tests))))
        assert ("few-queries" not in report.totals) is enough
        assert report.detectable_gain == pytest.approx(2.8 * 0.32 / tests**0.5, abs=1e-3)


def test_queries_of_one_group_count_for_less_than_as_many_groups(beir: Beir) -> None:
    queries = [{"_id": f"q{n}", "text": f"number {n * n}", "group": "one"} for n in range(3)]
    judged = [(f"q{n}", f"d{n + 1}", 1) for n in range(3)]
    report = check(read(beir(queries=queries, qrels={"test": judged})))
    assert report.stats.splits["test"].clusters == 1
    assert report.detectable_gain == pytest.approx(2.8 * 0.32 * (1.5 / 3) ** 0.5, abs=1e-3)


def test_data_without_a_test_side_is_told(beir: Beir) -> None:
    report = check(read(beir(qrels={"train": [("q1", "d1", 1)]})))
    assert "no-test" in report.totals
    assert report.detectable_gain is None


def test_texts_beyond_the_models_limit_are_counted(beir: Beir) -> None:
    def count(texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    report = check(read(beir()), tokenizer=count, max_tokens=7)
    assert report.tokens["passages"].cut == 1
    assert report.tokens["passages"].lost == round(1 / (8 + 7 + 6), 4)
    assert report.tokens["queries"].cut == 0
    assert "1 of 3 passages" in next(f.message for f in report.findings if f.code == "cut-texts")


def test_a_tokenizer_file_counts_tokens_and_a_bad_one_is_refused(
    beir: Beir, tmp_path: Path
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, "[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_truncation(2)
    made.save(str(tmp_path / "tokenizer.json"))
    report = check(read(beir()), tokenizer=tmp_path, max_tokens=5)
    assert report.tokens["queries"].lengths.longest == 5
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"tokenizer\.json"):
        check(read(beir(name="again")), tokenizer=tmp_path)


def test_findings_of_one_code_are_listed_up_to_a_number_and_counted(beir: Beir) -> None:
    corpus = [{"_id": f"d{n}", "text": "the same"} for n in range(60)]
    report = check(read(beir(corpus=corpus)))
    assert report.totals["duplicate-document"] == 59
    listed = [found.level for found in report.findings if found.code == "duplicate-document"]
    assert listed == ["warning"] * 3 + ["info"] * 20  # three of them are judged
    levels = [finding.level for finding in report.findings]
    assert levels == sorted(levels, key=["error", "warning", "info"].index)


def test_a_report_is_json(beir: Beir) -> None:
    report = check(read(beir()))
    made = json.loads(json.dumps(report.to_json()))
    assert made["stats"]["splits"]["test"]["new"] == 1
    assert made["leaked"] == []
    assert made["ok"] is True


def test_counts_and_lengths_are_those_of_the_files(beir: Beir) -> None:
    made = stats(read(beir()))
    assert (made.documents, made.sources, made.groups, made.queries, made.judged) == (3, 3, 0, 3, 3)
    assert made.words["passages"].longest == 8
    assert made.words["queries"].mean == pytest.approx(14 / 3, abs=0.01)
    assert json.loads(json.dumps(made.to_json()))["splits"]["train"]["pairs"] == 1


def test_a_changed_folder_is_told_from_a_written_one(beir: Beir, tmp_path: Path) -> None:
    from ragd_tune.data import write

    folder = write(read(beir()), tmp_path / "out")
    assert read(folder).notes == ()
    text = (folder / "queries.jsonl").read_text(encoding="utf-8")
    (folder / "queries.jsonl").write_text(re.sub("cats", "dogs", text), encoding="utf-8")
    assert [note.code for note in read(folder).notes] == ["changed-since-written"]
