"""Writing: the whole folder or nothing."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.data import DataSet, Document, Query, read, split, write
from ragd_tune.errors import TuneError, UsageError

Beir = Callable[..., Path]


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_dataset_json_says_where_it_came_from_and_what_it_holds(beir: Beir, tmp_path: Path) -> None:
    data = read(beir())
    folder = write(data, tmp_path / "out", about={"licence": "CC0"})
    about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert about["fingerprint"] == data.fingerprint
    assert about["licence"] == "CC0"
    assert about["source"] == "set"
    assert about["counts"]["queries"] == {"train": 1, "dev": 1, "test": 1}
    assert about["parts"]["corpus.jsonl"]["rows"] == 3
    assert read(folder).about == about
    again = write(read(folder), tmp_path / "again")
    assert json.loads((again / "dataset.json").read_text(encoding="utf-8"))["licence"] == "CC0"


def test_packed_files_have_the_same_bytes_each_time(beir: Beir, tmp_path: Path) -> None:
    data = read(beir())
    one, two = (write(data, tmp_path / name, compress=True) for name in ("one", "two"))
    assert (one / "corpus.jsonl.gz").read_bytes() == (two / "corpus.jsonl.gz").read_bytes()
    assert gzip.decompress((one / "queries.jsonl.gz").read_bytes()).count(b"\n") == 3


def test_how_it_was_split_is_recorded(beir: Beir, tmp_path: Path) -> None:
    made = split(read(beir()), seed=4, dev=1, test=1)
    about = read(write(made, tmp_path / "out")).about
    assert about["split"] == {
        "seed": 4,
        "dev": 1,
        "test": 1,
        "by": "document",
        "hold_back_known": 0.0,
    }


def test_a_folder_that_is_there_is_replaced_only_when_forced(beir: Beir, tmp_path: Path) -> None:
    data = read(beir())
    folder = write(data, tmp_path / "out")
    before = tree(folder)
    with pytest.raises(UsageError, match="is there already"):
        write(data, folder, compress=True)
    assert tree(folder) == before
    write(data, folder, compress=True, force=True)
    assert "corpus.jsonl.gz" in tree(folder)
    assert "corpus.jsonl" not in tree(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]


@pytest.mark.parametrize("name", ["thesis.tex", "raft_train.jsonl", "qrels/notes.txt"])
def test_force_never_deletes_files_that_are_not_ours(name: str, beir: Beir, tmp_path: Path) -> None:
    folder = write(read(beir()), tmp_path / "out")
    (folder / name).write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=name):
        write(read(beir(name="other")), folder, force=True)
    assert (folder / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("force", [True, False])
def test_a_file_is_never_replaced_by_a_folder(force: bool, beir: Beir, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="no folder"):
        write(read(beir()), tmp_path / "out", force=force)


@pytest.mark.parametrize("fails", ["fsync", "rename"])
def test_a_failure_leaves_the_old_folder_and_nothing_beside_it(
    fails: str, beir: Beir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read(beir())
    folder = write(data, tmp_path / "out")
    before = {name: (folder / name).stat().st_mtime_ns for name in tree(folder)}
    real = Path.rename

    def no_rename(self: Path, target: Path) -> Path:
        if Path(target) == folder and not self.name.endswith("-old"):
            raise OSError("no room")
        return real(self, target)

    def no_fsync(handle: int) -> None:
        raise OSError("no room")

    if fails == "fsync":
        monkeypatch.setattr(os, "fsync", no_fsync)
    else:
        monkeypatch.setattr(Path, "rename", no_rename)
    with pytest.raises(OSError, match="no room"):
        write(data, folder, force=True)
    assert {name: (folder / name).stat().st_mtime_ns for name in tree(folder)} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]


def test_data_that_the_layout_cannot_hold_is_refused_before_anything_is_there(
    tmp_path: Path,
) -> None:
    data = DataSet.of(
        corpus={"d\t1": Document(id="d\t1", text="a")},
        queries={"q": Query(id="q", text="b")},
        qrels={"train": {"q": {"d\t1": 1.0}}},
    )
    with pytest.raises(TuneError):
        write(data, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
