"""Changing ragd's configuration: the values asked for, and not one other byte."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ragd_tune.errors import NotInstalledError, UsageError
from ragd_tune.ragd.configfile import diff, edited, parse, read

CHANGES: Any = {
    ("embedding", "model"): "/home/a b/views/x",
    ("embedding", "dimension"): 16,
    ("storage", "chroma_dir"): "chroma-0123",
    ("retrieval", "min_score"): 0.4125,
}

WRITTEN = b"""\
# my notes
version:   2
embedding:   # which model
    model: 'all-MiniLM-L6-v2'   # the default
    dimension: 384

    unknown_key: [1,   2]
storage: {chroma_dir: "chroma", data_dir: "/d"}
retrieval:
    # off by default
    rerank: off
my_own_section:
  - keep:   me
# the end
"""


def test_only_the_values_that_change_change() -> None:
    made = edited(WRITTEN, CHANGES, "config.yaml")
    assert made.decode() == (
        WRITTEN.decode()
        .replace("'all-MiniLM-L6-v2'", '"/home/a b/views/x"')
        .replace("384", "16")
        .replace('"chroma"', "chroma-0123")
        .replace("    # off by default\n", "    # off by default\n    min_score: 0.4125\n")
    )


def test_what_was_changed_back_is_the_file_that_it_was() -> None:
    there: Any = {("embedding", "dimension"): 16, ("storage", "chroma_dir"): "x"}
    back: Any = {("embedding", "dimension"): 384}
    made = edited(edited(WRITTEN, there, "f"), back, "f")
    assert made == WRITTEN.replace(b'"chroma"', b"x")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"version: 2",
        b"version: 2\n",
        b"embedding:\n",
        b"embedding:\nversion: 2\n",
        b"embedding: {}\n",
        b"embedding:\n  model:\n  dimension: 384\n",
        b"embedding:\n  model: >-\n    a folded\n    name\n  batch_size: 8\n",
        b"embedding:\r\n  model: x\r\nversion: 2\r\n",
        "\ufeffembedding:\n  model: x\n".encode(),
        "embedding:\n  model: 'Überprüfung 🔎'\n".encode(),
        b"---\nembedding: {model: x}\n...\n",
        b"embedding: ~\nversion: 2\n",
    ],
)
def test_every_way_to_write_the_file_takes_the_changes(raw: bytes) -> None:
    before = parse(raw, "f")
    after = parse(edited(raw, CHANGES, "f"), "f")
    for (section, key), value in CHANGES.items():
        assert after[section][key] == value
        before[section] = {**(before.get(section) or {}), key: value}
    assert after == before


def test_the_ends_of_lines_stay_as_they_were() -> None:
    made = edited(b"a: 1\r\nembedding:\r\n  batch_size: 8\r\n", CHANGES, "f")
    assert b"\n" not in made.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "raw",
    [
        b"name: &n all-MiniLM-L6-v2\nembedding:\n  model: *n\n",
        b"embedding: &e\n  model: &m x\nother: *m\n",
        b"base: &b {model: x}\nembedding:\n  <<: *b\n",
        b"base: &b {model: x}\nembedding: *b\n",
    ],
)
def test_a_value_that_is_shared_by_an_alias_is_changed_rightly_or_refused(raw: bytes) -> None:
    before = parse(raw, "f")
    try:
        made = edited(raw, {("embedding", "model"): "new"}, "f")
    except UsageError as error:
        assert "embedding.model cannot be changed" in error.message  # noqa: PT017
        return
    before["embedding"] = {**before["embedding"], "model": "new"}
    assert parse(made, "f") == before


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["embedding", "storage", "retrieval", "chat", "x"]),
        st.dictionaries(
            st.sampled_from(["model", "dimension", "chroma_dir", "min_score", "y"]),
            st.one_of(st.text(max_size=12), st.integers(), st.booleans(), st.none()),
            max_size=4,
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_any_file_that_yaml_writes_takes_the_changes(data: Any, flow: bool) -> None:
    raw = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True).encode()
    after = parse(edited(raw, CHANGES, "f"), "f")
    for (section, key), value in CHANGES.items():
        data[section] = {**(data.get(section) or {}), key: value}
    assert after == data


def test_a_value_that_yaml_would_read_as_something_else_is_quoted() -> None:
    for value in ("on", "1.0", "null", "", "a: b", "x #y", "C:\\models"):
        made = edited(b"embedding:\n  model: x\n", {("embedding", "model"): value}, "f")
        assert parse(made, "f")["embedding"]["model"] == value


def test_a_broken_file_is_named_with_its_line() -> None:
    with pytest.raises(UsageError, match=r"config\.yaml:2: is not YAML"):
        edited(b"a: 1\nb: ]\n", CHANGES, "config.yaml")
    with pytest.raises(UsageError, match="holds no sections"):
        edited(b"- a\n", CHANGES, "config.yaml")
    with pytest.raises(UsageError, match="embedding is no section"):
        edited(b"embedding: 3\n", CHANGES, "config.yaml")


def test_a_missing_file_says_how_ragd_makes_one(tmp_path: Any) -> None:
    with pytest.raises(NotInstalledError, match="no configuration yet") as caught:
        read(tmp_path / "config.yaml")
    assert "ragd init" in caught.value.mend


def test_the_diff_shows_the_lines_that_change() -> None:
    made = edited(WRITTEN, {("embedding", "dimension"): 16}, "f")
    told = diff(WRITTEN, made, "config.yaml").splitlines()
    assert [line for line in told if line[0] in "+-"][2:] == [
        "-    dimension: 384",
        "+    dimension: 16",
    ]
    assert diff(WRITTEN, WRITTEN, "f") == ""
