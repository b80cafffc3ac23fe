"""Switching ragd over and back: one step, byte for byte, whatever ends the process in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.errors import StoreError
from ragd_tune.ragd.switch import Switch
from ragd_tune.store import Store

BEFORE, AFTER = b"# mine\nembedding: {model: base}\n", b"# mine\nembedding: {model: view}\n"

DRIVER = """
import sys
from pathlib import Path
from ragd_tune.ragd.switch import Switch
from ragd_tune.store import Store, files

home, config, adapter, action, point = sys.argv[1:]
store = Store(Path(home))
switch = Switch(store, Path(config))
with switch.alone():
    files.inject(files.die_at(int(point)))
    before, after = (Path(config).with_name(name).read_bytes() for name in ("before", "after"))
    if action == "activate":
        switch.carry_out(before, after, adapter=adapter, previous=None)
    else:
        switch.carry_out(after, before, adapter=None, previous=adapter, undoes=1)
print("alive")
"""


@pytest.fixture
def config(bench: Any) -> Path:
    path: Path = bench.home / ".ragd" / "config.yaml"
    path.write_bytes(BEFORE)
    path.chmod(0o600)
    path.with_name("before").write_bytes(BEFORE)
    path.with_name("after").write_bytes(AFTER)
    return path


def there(store: Store) -> str | None:
    active = store.active("embedder")
    return active.id if active else None


def test_a_switch_and_its_way_back_leave_every_byte_and_right(bench: Any, config: Path) -> None:
    entry = bench.train("mine")
    switch = Switch(bench.store, config)
    with switch.alone():
        change = switch.carry_out(BEFORE, AFTER, adapter=entry.id, previous=None)
    assert (config.read_bytes(), config.stat().st_mode & 0o777) == (AFTER, 0o600)
    assert there(bench.store) == entry.id
    assert switch.in_force() == change
    with switch.alone():
        switch.carry_out(AFTER, BEFORE, adapter=None, previous=entry.id, undoes=change.number)
    assert (config.read_bytes(), config.stat().st_mode & 0o777) == (BEFORE, 0o600)
    assert there(bench.store) is None
    assert switch.in_force() is None
    assert [one.action for one in switch.changes()] == ["activate", "rollback"]
    assert {path.name for path in config.parent.iterdir()} == {
        "config.yaml", "before", "after", "tune"
    }  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("action", ["activate", "rollback"])
def test_a_process_killed_at_any_point_leaves_one_state_and_the_next_finishes(
    bench: Any, config: Path, action: str
) -> None:
    entry = bench.train("mine")
    switch = Switch(bench.store, config)
    for point in (*range(1, 24, 4), 40):
        prepare(switch, bench.store, entry.id, active=action == "rollback")
        command = [sys.executable, "-c", DRIVER, str(bench.store.root), str(config), entry.id]
        ended = subprocess.run(
            [*command, action, str(point)], check=False, capture_output=True, text=True
        )
        assert ended.returncode in {0, -signal.SIGKILL}, ended.stderr
        assert config.read_bytes() in {BEFORE, AFTER}
        began = (bench.store.root / "host" / "pending.json").is_file()
        with switch.alone():
            pass
        done = (AFTER, entry.id) if action == "activate" else (BEFORE, None)
        undone = (BEFORE, None) if action == "activate" else (AFTER, entry.id)
        state = (config.read_bytes(), there(bench.store))
        finished = began or ended.returncode == 0
        assert state == done if finished else state in {done, undone}, point
        assert not (bench.store.root / "host" / "pending.json").exists()


def prepare(switch: Switch, store: Store, adapter: str, *, active: bool) -> None:
    """Bring configuration and store back to where the test begins."""
    with switch.alone():
        now = switch.config.read_bytes()
        if active and now == BEFORE:
            switch.carry_out(BEFORE, AFTER, adapter=adapter, previous=None)
        elif not active and now == AFTER:
            switch.carry_out(AFTER, BEFORE, adapter=None, previous=adapter, undoes=1)


def test_a_configuration_that_changed_meanwhile_is_left_alone(bench: Any, config: Path) -> None:
    entry = bench.train("mine")
    config.write_bytes(b"# edited\n")
    switch = Switch(bench.store, config)
    with switch.alone(), pytest.raises(StoreError, match="changed meanwhile"):
        switch.carry_out(BEFORE, AFTER, adapter=entry.id, previous=None)
    assert config.read_bytes() == b"# edited\n"
    assert there(bench.store) is None


def test_two_commands_at_once_do_not_change_ragd_together(bench: Any, config: Path) -> None:
    second = Switch(bench.store, config).alone()
    with (
        Switch(bench.store, config).alone(),
        pytest.raises(StoreError, match="another ragd-tune command"),
    ):
        second.__enter__()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_configuration_that_is_a_link_stays_one(bench: Any, config: Path, tmp_path: Path) -> None:
    entry = bench.train("mine")
    real = tmp_path / "dotfiles.yaml"
    real.write_bytes(BEFORE)
    config.unlink()
    config.symlink_to(real)
    switch = Switch(bench.store, config)
    with switch.alone():
        switch.carry_out(BEFORE, AFTER, adapter=entry.id, previous=None)
    assert config.is_symlink()
    assert real.read_bytes() == AFTER


def test_a_kept_configuration_that_is_gone_is_named(bench: Any, config: Path) -> None:
    with pytest.raises(StoreError, match="is gone or damaged"):
        Switch(bench.store, config).kept("0" * 64)
