"""What each layout reads as."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragd_tune.data import DataSet, Document, Query, read, write

Beir = Callable[..., Path]

TEXTS = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=30
).filter(lambda text: bool(text.strip()))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "query": TEXTS,
            "positive": TEXTS,
            "negatives": st.lists(TEXTS, max_size=3),
            "split": st.sampled_from(["train", "dev", "test"]),
        }
    ),
    min_size=1,
    max_size=8,
)
QUIET = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def jsonl(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[dict[str, object]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["query", "positive", "negatives", "split"])
    writer.writeheader()
    writer.writerows({**row, "negatives": json.dumps(row["negatives"])} for row in rows)
    return out.getvalue().encode()


def asked(data: DataSet, split: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pair in data.pairs(split):
        found.setdefault(pair.query.text, set()).add(pair.document.text)
    return found


@QUIET
@given(rows=ROWS)
def test_pairs_say_the_same_as_jsonl_json_and_csv(
    rows: list[dict[str, object]], tmp_path: Path
) -> None:
    files = {
        "a.jsonl": jsonl(rows),
        "a.json": json.dumps(rows, indent=1).encode(),
        "a.csv": b"\xef\xbb\xbf" + as_csv(rows),
        "b.jsonl.gz": gzip.compress(jsonl(rows)),
        "c.jsonl": jsonl(rows[::-1]).replace(b"\n", b"\r\n"),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    made = {name: read(tmp_path / name) for name in files}
    first = made["a.jsonl"]
    for split in ("train", "dev", "test"):
        wanted: dict[str, set[str]] = {}
        for row in rows:
            if row["split"] == split:
                wanted.setdefault(str(row["query"]), set()).add(str(row["positive"]))
        assert asked(first, split) == wanted
    in_order = {data.fingerprint for name, data in made.items() if name != "c.jsonl"}
    assert len(in_order) == 1
    assert made["c.jsonl"].qrels == first.qrels


@QUIET
@given(rows=ROWS, compress=st.booleans())
def test_what_is_written_reads_back_the_same(
    rows: list[dict[str, object]], compress: bool, tmp_path: Path
) -> None:
    (tmp_path / "p.jsonl").write_bytes(jsonl(rows))
    data = read(tmp_path / "p.jsonl")
    again = read(write(data, tmp_path / "out", force=True, compress=compress))
    assert again == data
    assert again.fingerprint == data.fingerprint


IDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)


@QUIET
@given(
    docs=st.dictionaries(IDS, st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=5),
    queries=st.dictionaries(IDS, TEXTS, min_size=1, max_size=5),
    scores=st.lists(st.floats(0.25, 1e6), min_size=1, max_size=5),
)
def test_any_beir_data_set_survives_the_disk(
    docs: dict[str, tuple[str, ...]], queries: dict[str, str], scores: list[float], tmp_path: Path
) -> None:
    judged = {
        qid: {did: score}
        for qid, did, score in zip(sorted(queries), sorted(docs), scores, strict=False)
    }
    data = DataSet.of(
        corpus={
            did: Document(id=did, title=title, text=text, document=source, group=group)
            for did, (title, text, source, group) in docs.items()
        },
        queries={qid: Query(id=qid, text=text) for qid, text in queries.items()},
        qrels={"train": judged},
    )
    assert read(write(data, tmp_path / "out", force=True)) == data


def test_the_fingerprint_forgets_order_and_packing_and_nothing_else(beir: Beir) -> None:
    one, two, three = beir(name="one"), beir(name="two"), beir(name="three")
    lines = (two / "corpus.jsonl").read_bytes().splitlines(keepends=True)
    (two / "corpus.jsonl").unlink()
    (two / "corpus.jsonl.gz").write_bytes(gzip.compress(b"".join(reversed(lines))))
    assert read(one).fingerprint == read(two).fingerprint
    changed = (three / "qrels" / "dev.tsv").read_text(encoding="utf-8").replace("\t1\n", "\t2\n")
    (three / "qrels" / "dev.tsv").write_text(changed, encoding="utf-8")
    assert read(three).fingerprint != read(one).fingerprint


def test_a_passage_is_the_title_a_blank_and_the_text(beir: Beir) -> None:
    data = read(beir())
    assert data.corpus["d1"].passage == "Cats Cats sleep through most of the day."
    assert data.corpus["d2"].passage == "Rivers carry sand down to the sea."


def test_whole_numbers_are_ids_and_other_names_of_dev_are_understood(beir: Beir) -> None:
    folder = beir(
        corpus=[{"_id": 1, "text": "a"}],
        queries=[{"_id": 7, "text": "b"}],
        qrels={"validation": [("7", "1", 1)]},
    )
    assert read(folder).qrels == {"dev": {"7": {"1": 1.0}}}


def test_ragds_rows_are_read_as_they_are(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {
            "query": "how is it built",
            "positive": "run make",
            "positive_id": "c-1",
            "negatives": [{"id": "c-2", "text": "run test"}, {"id": "c-9", "text": "read this"}],
            "source_document": "build.md",
        },
        {
            "query": "how is it tested",
            "positive": "run test",
            "positive_id": "c-2",
            "negatives": [],
            "source_document": "test.md",
        },
    ]
    for order in (rows, rows[::-1]):
        (tmp_path / "train.jsonl").write_bytes(jsonl(order))
        data = read(tmp_path)
        assert data.corpus["c-1"] == Document(id="c-1", text="run make", document="build.md")
        assert data.corpus["c-2"].document == "test.md"
        (built,) = [pair for pair in data.pairs("train") if pair.document.id == "c-1"]
        assert data.negatives == {built.query.id: ("c-2", "c-9")}


def test_a_negative_without_an_id_is_the_document_that_has_its_text(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"query": "a", "positive": "one", "negative": "two"},
        {"anchor": "b", "positive": "two", "positive_id": "id-2"},
    ]
    (tmp_path / "train.jsonl").write_bytes(jsonl(rows))
    assert list(read(tmp_path).negatives.values()) == [("id-2",)]


@pytest.mark.parametrize(
    "content",
    [
        b"anchor,positive,negative\na b,c,d\n",
        b"query;positive;negative_1;negative_2\na b;c;d;\n",
        b'query\tpositive\tnegatives\na b\tc\t["d"]\n',
    ],
    ids=["triplets", "numbered negatives", "a list in a cell"],
)
def test_tables_of_triplets_are_read_whatever_parts_their_cells(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "train.csv").write_bytes(content)
    data = read(tmp_path)
    assert asked(data, "train") == {"a b": {"c"}}
    assert [data.corpus[did].text for (did,) in data.negatives.values()] == ["d"]


def test_a_negative_that_answers_its_query_is_left_out_and_told(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"query": "a", "positive": "one", "negatives": ["two", "three"]},
        {"query": "a", "positive": "two"},
    ]
    (tmp_path / "train.jsonl").write_bytes(jsonl(rows))
    data = read(tmp_path)
    assert [[data.corpus[did].text for did in dids] for dids in data.negatives.values()] == [
        ["three"]
    ]
    (note,) = data.notes
    assert (note.code, note.line) == ("negative-is-relevant", 1)


def test_scored_pairs_keep_their_score_and_split(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(
        jsonl([{"sentence1": "a", "sentence2": "b", "score": 0.25}])
    )
    (tmp_path / "test.csv").write_bytes(b"text1,text2,score\nc,d,1\n")
    data = read(tmp_path)
    assert [(pair.text1, pair.score, pair.split) for pair in sorted(data.scored)] == [
        ("a", 0.25, "train"),
        ("c", 1.0, "test"),
    ]
    assert read(write(data, tmp_path / "out")) == data


def test_zero_scores_and_repeated_judgements_are_left_out_and_told(beir: Beir) -> None:
    judged = [("q1", "d1", 1), ("q1", "d1", 1), ("q1", "d2", 0)]
    data = read(beir(qrels={"train": judged}))
    assert data.qrels == {"train": {"q1": {"d1": 1.0}}}
    assert [(note.code, note.line) for note in data.notes] == [
        ("duplicate-judgement", 3),
        ("zero-score", 4),
    ]


def test_an_empty_document_that_answers_nothing_is_only_told(beir: Beir) -> None:
    corpus = [{"_id": "d1", "text": "a"}, {"_id": "d2", "text": ""}]
    data = read(
        beir(corpus=corpus, queries=[{"_id": "q", "text": "b"}], qrels={"train": [("q", "d1", 1)]})
    )
    assert [(note.code, note.line) for note in data.notes] == [("empty-text", 2)]


def test_unicode_line_separators_are_part_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(jsonl([{"query": "a\u2028b\x85c", "positive": "d"}]))
    assert asked(read(tmp_path), "train") == {"a\u2028b\x85c": {"d"}}


def test_pairs_without_splits_are_split_by_document_and_that_is_told(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"query": f"question {word} {number}", "positive": f"{word * 9}", "source_document": word}
        for word in ("ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "oak", "pine", "yew")
        for number in (11, 222, 3333)
    ]
    (tmp_path / "p.jsonl").write_bytes(jsonl(rows))
    data = read(tmp_path / "p.jsonl")
    assert {split: len(judged) for split, judged in data.qrels.items()} == {
        "train": 21,
        "dev": 3,
        "test": 6,
    }
    assert not data.known_and_new("test")[0]
    assert [note.code for note in data.notes] == ["split-here"]
    (tmp_path / "p.jsonl").write_bytes(jsonl(rows[::-1]))
    assert read(tmp_path / "p.jsonl").fingerprint == data.fingerprint
    assert read(tmp_path / "p.jsonl", seed=1).fingerprint != data.fingerprint


def test_pairs_too_few_to_split_are_all_for_training_and_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(jsonl([{"query": "a", "positive": "b"}]))
    data = read(tmp_path / "p.jsonl")
    assert list(data.qrels) == ["train"]
    assert [(note.level, note.code) for note in data.notes] == [("warning", "not-split")]
