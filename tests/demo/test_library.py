from __future__ import annotations

import json
import sysconfig
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from ragd_tune.data import DataSet, check, read
from ragd_tune.data.near import near_duplicates
from ragd_tune.data.text import bare, fold
from ragd_tune.demo import dataset, split
from ragd_tune.demo.dataset import build, data_set, held_out, keep
from ragd_tune.demo.library import (
    LONGEST,
    Pair,
    apart,
    distinct,
    find_library,
    first_paragraph,
    modules,
    read_pairs,
    shorten,
)
from ragd_tune.errors import NotInstalledError, UsageError

BODY = "    return do_something_with(this_and_that)\n"
TREE = {
    "queue.py": (
        "def put(item):\n"
        '    """Add an item to the queue.\n\n    Blocks.\n    """\n'
        "    items.append(item)  # at its end\n"
        "\n"
        "class Queue:\n"
        '    """Hold items in the order of their coming."""\n'
        "    @property\n"
        "    def size(self):\n"
        '        """Return the number of the items."""\n'
        "        return len(self.items)\n"
        "    @size.setter\n"
        "    def size(self, value):\n"
        '        """Drop all items beyond this number."""\n'
        "        del self.items[value:]\n"
    ),
    "email/__init__.py": f'def a():\n    "Return the message in a text."\n{BODY}',
    "email/_header.py": f'def b():\n    "Fold a header at its blanks."\n{BODY}',
    "email/test/test_it.py": f'def c():\n    "Test that nothing at all breaks."\n{BODY}',
    "test/support.py": f'def d():\n    "Support the tests of the library."\n{BODY}',
    "sitecustomize.py": f'def e():\n    "Change what the site is like."\n{BODY}',
    "site-packages/x.py": f'def f():\n    "Do what somebody else wants."\n{BODY}',
    "broken.py": "def f(:\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "lib" / "queue.py").write_bytes(TREE["queue.py"].replace("\n", "\r\n").encode())
    return tmp_path / "lib"


@pytest.fixture(scope="module")
def library() -> DataSet:
    return build()


def pair(module: str, name: str = "f", query: str = "", source: str = "") -> Pair:
    query = query or f"What does {name} of {module} do?"
    return Pair(module=module, name=name, query=query, source=source or f"def {name}(): {module}()")


def one_module_a_side() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in ("ast", "xml", "queue", "json", "email", "http", "typing", "logging", "csv"):
        found.setdefault(split.side(split.family(name)), name)
    assert set(found) == {"train", "dev", "test"}
    return found


# -- reading --------------------------------------------------------------------------------------


def test_pairs_are_first_paragraphs_and_the_code_without_them(tree: Path) -> None:
    found = {one.id: one for one in read_pairs(modules(tree))}
    assert found["queue:put"].query == "Add an item to the queue."
    assert found["queue:put"].source == "def put(item):\n    items.append(item)  # at its end"
    assert found["queue:Queue.size"].source == (
        "@property\ndef size(self):\n    return len(self.items)"
    )


def test_two_definitions_of_one_name_get_ids_of_their_own(tree: Path) -> None:
    found = {one.id: one for one in read_pairs(modules(tree))}
    assert found["queue:Queue.size#2"].query == "Drop all items beyond this number."


def test_only_the_library_itself_is_read_and_none_of_its_tests(tree: Path) -> None:
    (tree / "email" / "tests").mkdir()
    (tree / "email" / "tests" / "x.py").write_text(TREE["queue.py"])
    names = [name for name, _ in modules(tree)]
    assert names == ["email", "email._header", "queue"]


def test_a_file_that_is_not_python_is_left_out_alone(tree: Path) -> None:
    (tree / "abc.py").write_bytes(b"\xff\xfe\x00")
    (tree / "ast.py").write_text("# coding: no-such-thing\n")
    (tree / "bdb.py").write_text("x = 1\0\n")
    names = {"abc", "ast", "bdb", "broken", "queue"}
    assert {one.module for one in read_pairs(modules(tree, names))} == {"queue"}


def test_nothing_of_the_library_is_run(tree: Path) -> None:
    marker = tree / "ran"
    (tree / "abc.py").write_text(f"open({str(marker)!r}, 'w')\n{TREE['queue.py']}")
    assert len(list(read_pairs(modules(tree, {"abc"})))) == 4
    assert not marker.exists()


@pytest.mark.parametrize(
    ("docstring", "query"),
    [
        ("Say it.", "Say it."),
        ("Say it\n    over two lines.\n\n    More.", "Say it over two lines."),
        ("\n\n    Say it.\n    \n    More.", "Say it."),
        ("Say\tit\n\n", "Say it."[:-1]),
        ("   ", ""),
        ("word " * 100, "word " * 79 + "word …"),
    ],
)
def test_a_query_is_the_first_paragraph_on_one_line(docstring: str, query: str) -> None:
    assert first_paragraph(docstring) == query


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    pass\n    'Open the file for writing.'",
        "def f():\n    # Open the file\n    # for writing.\n    return open('x', 'w')",
        "def f():\n    print('OPEN the file for writing.')",
    ],
    ids=["as a string", "as a comment", "as a message"],
)
def test_a_document_that_still_says_its_query_is_no_document(tmp_path: Path, source: str) -> None:
    head, _, rest = source.partition("\n")
    doc = '    "Open the file for writing."\n'
    (tmp_path / "abc.py").write_text(f"{head}\n{doc}    x = some_thing(1, 2, 3)\n{rest}\n")
    assert list(read_pairs(modules(tmp_path, {"abc"}))) == []


def test_short_queries_empty_bodies_and_mere_notation_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "abc.py").write_text(
        'def a():\n    "Close the file."\n    return close_the_file_at_once(now=True)\n'
        'def b():\n    "Let sub-classes close the file."\n    raise NotImplementedError("close")\n'
        'def c():\n    ">>> this is an example"\n    return close_the_file_at_once(now=True)\n'
        'def d():\n    "Close the file at once."\n    x\n'
        'def e():\n    "e(file, mode, buffering, at) -> int"\n    return close_the_file(now=True)\n'
    )
    assert list(read_pairs(modules(tmp_path, {"abc"}))) == []


def test_a_long_document_is_cut_at_the_end_of_a_line() -> None:
    lines = [f"    x{number} = {number}" for number in range(500)]
    cut = shorten("\n".join(["def f():", *lines]), LONGEST)
    assert LONGEST - 30 < len(cut) <= LONGEST
    assert cut.split("\n")[1:] == lines[: cut.count("\n")]
    assert len(shorten("x" * 5000, LONGEST)) == LONGEST


# -- where there is nothing to read ---------------------------------------------------------------


@pytest.mark.parametrize("where", ["python311.zip", "nowhere", "compiled"])
def test_a_library_without_sources_is_told_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (tmp_path / "python311.zip").write_bytes(b"PK")
    (tmp_path / "compiled").mkdir()
    (tmp_path / "compiled" / "os.pyc").write_bytes(b"")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / where))
    with pytest.raises(NotInstalledError) as caught:
        find_library()
    assert where in caught.value.message
    assert "python.org" in caught.value.mend


def test_a_library_with_hardly_any_sources_is_told(tree: Path) -> None:
    with pytest.raises(NotInstalledError, match=r"only \d+ documented"):
        build(tree)


# -- the split ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("_pydecimal", "decimal"),
        ("_pyio", "io"),
        ("_pydatetime", "datetime"),
        ("_strptime", "datetime"),
        ("_collections_abc", "collections.abc"),
        ("ntpath", "posixpath"),
        ("sre_parse", "re._parser"),
        ("asyncio.queues", "asyncio.locks"),
        ("distutils.sysconfig", "_osx_support"),
        ("turtle", "tkinter"),
        ("bz2", "compression.zstd"),
        ("_compression", "lzma"),
    ],
)
def test_twins_are_on_one_side(one: str, other: str) -> None:
    assert split.family(one) == split.family(other)


def test_a_module_stays_on_its_side_for_ever() -> None:
    sides = {name: split.side(split.family(name)) for name in ("tkinter", "_pyio", "http.client")}
    assert sides == {"tkinter": "train", "_pyio": "test", "http.client": "dev"}


def test_a_query_that_stands_twice_is_left_out_and_so_is_a_second_equal_source() -> None:
    pairs = [
        pair("ast", "a", query="Return the size."),
        pair("bdb", "b", query="return the SIZE"),
        pair("cmd", "c", source="def same(): go()"),
        pair("csv", "d", source="def  same():  go()"),
        pair("dis", "e"),
    ]
    assert [one.module for one in distinct(pairs)] == ["cmd", "dis"]


@pytest.mark.parametrize("field", ["query", "source"])
def test_what_is_nearly_the_same_on_two_sides_stays_only_on_the_side_that_judges(
    field: str,
) -> None:
    text = "Return the number of bytes that are waiting in the buffer of this connection"
    by_side = one_module_a_side()
    pairs = [
        pair(module, side, **{field: f"{text}{mark}"})
        for (side, module), mark in zip(sorted(by_side.items()), ".!?", strict=True)
    ]
    alone = pair(by_side["train"], "alone")
    assert [one.name for one in apart([*pairs, alone])] == ["test", "alone"]
    without_test = [one for one in pairs if one.name != "test"]
    assert [one.name for one in apart(without_test)] == ["dev"]


def test_near_duplicates_on_one_side_stay() -> None:
    text = "Return the number of bytes that are waiting in the buffer of this connection"
    pairs = [pair("typing", "a", query=text), pair("typing", "b", query=f"{text}.")]
    assert apart(pairs) == pairs


# -- this interpreter's own library ---------------------------------------------------------------


def test_the_library_gives_some_thousand_pairs_on_three_sides(library: DataSet) -> None:
    sizes = {side: len(judged) for side, judged in library.qrels.items()}
    assert 4000 <= sum(sizes.values()) <= 8000
    assert sizes["train"] > 2 * sizes["test"] > 4 * sizes["dev"] > 800
    assert all(len(found) == 1 for judged in library.qrels.values() for found in judged.values())


def test_the_library_is_read_the_same_again(library: DataSet) -> None:
    assert build().fingerprint == library.fingerprint


def test_no_module_family_is_on_two_sides(library: DataSet) -> None:
    sides = {
        side: {library.queries[qid].group for qid in judged}
        for side, judged in library.qrels.items()
    }
    assert all(not sides[one] & sides[other] for one, other in combinations(sides, 2))
    for side, judged in library.qrels.items():
        for found in judged.values():
            for did in found:
                assert split.side(library.corpus[did].group) == side


def test_no_query_and_no_document_crosses_not_even_nearly(library: DataSet) -> None:
    side_of = {qid: side for side, judged in library.qrels.items() for qid in judged}
    qids = list(side_of)
    queries = [library.queries[qid].text for qid in qids]
    sources = [library.corpus[qid.removeprefix("q/")].text for qid in qids]
    assert max(Counter(map(bare, queries)).values()) == 1
    assert max(Counter(map(fold, sources)).values()) == 1
    for texts in (queries, sources):
        for one, other, _ in near_duplicates(texts):
            assert side_of[qids[one]] == side_of[qids[other]]


def test_no_document_says_its_own_query(library: DataSet) -> None:
    for qid, query in library.queries.items():
        assert fold(query.text) not in fold(library.corpus[qid.removeprefix("q/")].text)


def test_the_data_room_finds_no_leak_in_it(library: DataSet) -> None:
    report = check(library, strict=True)
    assert report.ok
    assert not report.leaked


def test_the_test_side_has_enough_families_to_prove_something(library: DataSet) -> None:
    sizes = Counter(library.clusters("test").values()).values()
    assert sum(sizes) ** 2 / sum(size**2 for size in sizes) > 25


# -- on disk --------------------------------------------------------------------------------------


@pytest.fixture
def small() -> DataSet:
    by_side = one_module_a_side()
    return data_set([pair(module, f"f{n}") for module in by_side.values() for n in range(3)])


def test_the_held_out_part_knows_nothing_of_the_rest(small: DataSet) -> None:
    part = held_out(small)
    assert set(part.qrels) == {"test"}
    assert len(part.corpus) == len(part.queries) == 3
    assert {one.group for one in part.corpus.values()} == {
        split.family(one_module_a_side()["test"])
    }


def test_it_is_kept_as_a_beir_folder_that_says_where_it_came_from(
    small: DataSet, tmp_path: Path
) -> None:
    folder = tmp_path / "datasets" / dataset.name()
    kept = keep(small, folder)
    assert kept.fingerprint == small.fingerprint == read(folder).fingerprint
    told = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert told["licence"] == "PSF-2.0"
    assert told["python"].startswith("CPython 3.")
    assert {path.name for path in folder.iterdir()} == {
        "corpus.jsonl",
        "queries.jsonl",
        "qrels",
        "dataset.json",
    }


def test_what_is_kept_already_is_not_written_again(small: DataSet, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    keep(small, folder)
    before = (folder / "corpus.jsonl").stat().st_mtime_ns
    keep(small, folder)
    assert (folder / "corpus.jsonl").stat().st_mtime_ns == before


@pytest.mark.parametrize("harm", ["cut short", "changed", "gone"])
def test_what_is_damaged_is_written_anew(small: DataSet, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "kept"
    corpus = keep(small, folder).source / "corpus.jsonl"
    if harm == "gone":
        corpus.unlink()
    else:
        text = corpus.read_text(encoding="utf-8")
        corpus.write_text(text[:50] if harm == "cut short" else text.replace("f0", "f9", 1))
    assert keep(small, folder).fingerprint == small.fingerprint
    assert read(folder).fingerprint == small.fingerprint


def test_somebody_elses_files_are_not_replaced(small: DataSet, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        keep(small, tmp_path / "kept")
