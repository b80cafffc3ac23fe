"""The example as its users get it: built, installed by pip into a fresh environment, and found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).resolve().parent / "ragd-tune-toy"

USES_FIXTURES = """
import os
from pathlib import Path

def test_the_fixtures_of_the_kit_are_here(
    ragd_tune_home, ragd_tune_registry, ragd_tune_data, ragd_tune_rows, ragd_tune_base
):
    assert Path(os.environ["RAGD_TUNE_HOME"]) == ragd_tune_home
    assert list(ragd_tune_registry.backends) == ["toy"]
    assert {"train", "dev", "test"} == set(ragd_tune_data.qrels)
    assert ragd_tune_rows.objective == "contrastive"
    assert any(ragd_tune_base.rglob("*.safetensors"))
"""


def call(command: list[str], cwd: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    kept["RAGD_TUNE_HOME"] = str(cwd / "home")
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder outside the checkout with an environment in it."""
    folder = tmp_path_factory.mktemp("outside")
    example = folder / "example"
    shutil.copytree(EXAMPLE, example, ignore=shutil.ignore_patterns("__pycache__"))
    for project in (ROOT, example):
        build = ["-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder / "dist")]
        call([sys.executable, *build, str(project)], folder)
    venv.create(folder / "venv", with_pip=True)
    pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check"]
    found = ["--find-links", str(folder / "dist")]
    call([program(folder, "python"), *pip, *found, "ragd-tune-toy", "pytest"], folder)
    return folder


def program(folder: Path, name: str) -> str:
    return str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / name)


@pytest.mark.slow
def test_the_example_is_found_where_pip_installed_it(outside: Path) -> None:
    told: dict[str, Any] = json.loads(
        call([program(outside, "ragd-tune"), "plugins", "--json"], outside)
    )
    (plugin,) = told["plugins"]
    assert (plugin["name"], plugin["state"]) == ("toy", "loaded")
    assert (plugin["distribution"], plugin["version"]) == ("ragd-tune-toy", "1.0.0")
    (backend,) = told["backends"]
    assert backend["name"] == "toy"
    assert [cell["tuning"] for cell in told["trains_here"]] == ["map"]


@pytest.mark.slow
def test_the_example_passes_its_own_test_there(outside: Path) -> None:
    (outside / "example" / "tests" / "test_fixtures.py").write_text(USES_FIXTURES, encoding="utf-8")
    shutil.rmtree(outside / "example" / "src", ignore_errors=True)
    command = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-W", "error"]
    told = call([program(outside, "python"), *command, "example/tests"], outside)
    assert " passed" in told
    assert " failed" not in told
    assert "ignores the option warmup" in told
