"""What tests of several rooms share."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

try:
    from hypothesis import settings
except ImportError:  # in the environments of MLX and Unsloth, whose tests need none
    pass
else:  # a busy machine is no reason to fail
    settings.register_profile("house", deadline=None)
    settings.load_profile("house")


@pytest.fixture(autouse=True)
def no_other_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let proofs look at their own data alone: reading Python's library takes seconds a store.

    A test of forgetting takes the variable away again.
    """
    monkeypatch.setenv("RAGD_TUNE_NO_FORGETTING", "1")


@pytest.fixture(autouse=True)
def no_plugins_of_another_test() -> None:
    """Let the command line look for plugins anew: the test before may have switched some off."""
    train = sys.modules.get("ragd_tune.cli.train")
    if train is not None:
        train._registry.cache_clear()


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return the folder of a shared data set by name.

    Looked for in ``$RAGD_TUNE_DATA``, else beside the project. Absence skips the test, except in
    CI (``CI=true``), where it fails.
    """
    root = Path(os.environ.get("RAGD_TUNE_DATA") or ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            message = f"{folder} is not here: set RAGD_TUNE_DATA to the folder of the shared sets"
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(message)
            pytest.skip(message)
        return folder

    return find


@pytest.fixture
def unproven() -> Callable[..., list[str]]:
    """Return what tells which lines of the matrix of backends have no test that is run here.

    A line of ``docs/reference/backends.md`` names its test as pytest takes it. ``where`` is the
    folder of the tests that are collected, as CI does it: a test that is left out there, or whose
    cell cannot run here, proves nothing.
    """

    def find(backend: str, where: Path, *, objectives: str = ".*") -> list[str]:
        collected = _collected(where)
        page = (ROOT / "docs" / "reference" / "backends.md").read_text(encoding="utf-8")
        lines = re.findall(rf"^\| `{backend}` \| `(?:{objectives})` .*$", page, re.MULTILINE)
        assert lines, f"the matrix has no line of {backend}"
        return [line for line in lines if not _is_run(line.split("`")[-2], collected)]

    return find


def _is_run(test: str, collected: str) -> bool:
    """Say whether ``file::name`` or ``file -k word`` names something that was collected."""
    file, _, word = test.partition(" -k ")
    if not word:
        return re.search(rf"^{re.escape(test)}(\[.*)?$", collected, re.MULTILINE) is not None
    found = rf"^{re.escape(file)}::\w+::test_\w+\[{re.escape(word)}\b"
    return re.search(found, collected, re.MULTILINE) is not None


def _collected(where: Path) -> str:
    """Return the ids of the tests below ``where``, a line each, those deselected left out."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    command += ["-W", "ignore", "--rootdir", str(ROOT), str(where)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
