from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragd_tune.plan import BaseModel
from ragd_tune.training import written


def test_what_is_written_appears_whole_in_place_of_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "old").mkdir(parents=True)

    def save(folder: Path) -> None:
        assert not out.exists()
        (folder / "new").write_text("", encoding="utf-8")

    written.put(out, save)
    assert [path.name for path in out.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [out]


def test_what_failed_on_the_way_is_not_there(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("", encoding="utf-8")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        written.put(tmp_path / "out", fail)
    assert not (tmp_path / "out").exists()
    written.put(tmp_path / "out", lambda folder: None)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_configuration_has_what_decides_and_no_place_of_this_machine(tmp_path: Path) -> None:
    base = BaseModel(name=str(tmp_path), path=tmp_path, fingerprint="f", source="path")
    told = {"r": 4, "target_modules": {"b", "a"}, "a_key_of_some_version": 1}
    written.write_config(tmp_path, told, base)
    text = (tmp_path / written.CONFIG).read_text(encoding="utf-8")
    config = json.loads(text)
    assert config["target_modules"] == ["a", "b"]
    assert config["r"] == 4
    assert config["base_model_name_or_path"] == ""
    assert "a_key_of_some_version" not in config
    assert str(tmp_path) not in text
