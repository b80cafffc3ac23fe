"""The pages for authors of plugins show what really runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ragd_tune.testing.kind_suite
import ragd_tune.testing.sides  # noqa: F401 - pytester would forget NumPy, which loads only once

pytest_plugins = ["pytester"]

HERE = Path(__file__).resolve().parent
HOW_TO = HERE.parents[1] / "docs" / "how-to"
BLOCK = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((HOW_TO / page).read_text(encoding="utf-8"))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def test_the_page_about_backends_shows_every_line_of_the_example_in_order() -> None:
    shown: dict[str, list[str]] = {}
    for name, text in blocks("write-a-backend.md"):
        source = (HERE / "ragd-tune-toy" / name).read_text(encoding="utf-8")
        assert text in source, f"{name} is not what the page shows:\n{text[:200]}"
        shown.setdefault(name, []).extend(lines(text))
    for name, found in shown.items():
        source = (HERE / "ragd-tune-toy" / name).read_text(encoding="utf-8")
        assert found == lines(source), f"the page leaves lines of {name} out"


def test_the_example_has_no_file_that_the_page_does_not_show() -> None:
    files = {
        path.relative_to(HERE / "ragd-tune-toy").as_posix()
        for path in (HERE / "ragd-tune-toy").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert files == {name for name, _ in blocks("write-a-backend.md")}


def test_the_page_about_kinds_shows_a_kind_that_passes_its_suite(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name, text in blocks("write-a-kind.md"):
        (pytester.path / name).write_text(text, encoding="utf-8")
    info = pytester.path / "ragd_tune_keyword_encoder-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: k\nVersion: 1.0.0\n")
    points = "[ragd_tune]\nkeyword-encoder = ragd_tune_keyword_encoder\n"
    (info / "entry_points.txt").write_text(points)
    pytester.syspathinsert()
    found = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").parseoutcomes()
    assert found.keys() == {"passed"}
    assert found["passed"] >= 15
