from __future__ import annotations

from pathlib import Path

import pytest

from ragd_tune.data.journal import Journal
from ragd_tune.errors import DataError


def test_rows_are_read_again_in_their_order_without_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, {"of": "work"}) as journal:
        journal.add("a", {"x": 1})
        journal.extend([("b", {"x": 2}), ("c", {"x": 3})])
    with path.open("ab") as file:
        file.write(b'{"key": "d", "x"')
    with Journal(path, {"of": "work"}) as journal:
        assert [row["key"] for row in journal.rows()] == ["a", "b", "c"]
        assert "d" not in journal
        journal.add("d", {"x": 4})
    with Journal(path, {"of": "work"}) as journal:
        assert journal.get("d") == {"key": "d", "x": 4}
        assert len(journal) == 4


def test_a_journal_of_other_work_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    Journal(path, {"of": "work"}).close()
    with pytest.raises(DataError, match="other work"):
        Journal(path, {"of": "something else"})
    path.write_bytes(b"no json\nat all\n")
    with pytest.raises(DataError, match="damaged"):
        Journal(path, {"of": "work"})


def test_a_key_is_written_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl", {}) as journal:
        journal.add("a", {})
        with pytest.raises(ValueError, match="already"):
            journal.add("a", {})
