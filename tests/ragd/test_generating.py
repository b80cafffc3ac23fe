"""Questions about what ragd has indexed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.ragd.conftest import letters

from ragd_tune import cli
from ragd_tune.data import read
from ragd_tune.errors import DONE, USAGE

NAMES = "harbour olive copper winter marble candle timber willow saffron meadow anchor velvet"


def test_ragds_own_chunks_become_the_passages_with_their_ids(
    host_index: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    for number, name in enumerate(NAMES.split()):
        texts = [
            f"The {name} valve is a safety device of boiler {number}. It is opened by lever {part}."
            for part in range(3)
        ]
        host_index.add(f"manual{number}", texts, letters)
    out = tmp_path / "made"
    given = ["data", "generate", "--ragd-index", str(host_index.folder), "--out", str(out)]
    more = ["--generator", "headings", "--base", "no-such-model", "--offline"]
    assert cli.run([*given, *more]) == DONE
    data = read(out)
    assert {did: doc.text for did, doc in data.corpus.items()} == host_index.chunks
    assert data.corpus["manual3_chunk_1"].document == "/d/manual3.txt"
    assert data.qrels["train"]


def test_neither_documents_nor_an_index_is_a_usage_error() -> None:
    assert cli.run(["data", "generate", "--generator", "headings"]) == USAGE
