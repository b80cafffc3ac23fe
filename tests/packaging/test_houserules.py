"""What the project's own configuration promises: commands, pins, contracts, CI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints"
PIN = re.compile(r"^[A-Za-z0-9_.-]+==[^\s;]+( ; .+)?$")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def project() -> dict[str, object]:
    return tomllib.loads(read("pyproject.toml"))


def environments() -> set[str]:
    config = ConfigParser(interpolation=None)
    config.read_string(read("tox.ini"))
    return {name.removeprefix("testenv:") for name in config if name.startswith("testenv:")}


def marked_command(name: str) -> str:
    found = re.search(
        rf"^<!-- command: {name} -->\n```\w*\n(.+)\n```$", read("README.md"), re.MULTILINE
    )
    assert found, f"README.md has no block marked <!-- command: {name} -->"
    return found[1]


@pytest.mark.parametrize(("name", "env"), [("demo", "demo"), ("tests", "py")])
def test_the_readme_holds_a_command_that_does_all_the_set_up(name: str, env: str) -> None:
    command = marked_command(name)
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q tox && ")
    assert command.endswith(f".venv/bin/tox -q -e {env}")
    assert env in environments()


def test_each_environment_has_its_pins_and_no_pins_are_left_over() -> None:
    files = {path.stem for path in CONSTRAINTS.glob("*.txt")}
    assert files == environments() | {"torch"}


@pytest.mark.parametrize("path", sorted(CONSTRAINTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_file_of_pins_holds_exact_versions_and_leads_to_the_shared_torch(path: Path) -> None:
    lines = [line for line in read(f"constraints/{path.name}").splitlines() if line[:1] != "#"]
    bases = [line.removeprefix("-c ") for line in lines if line.startswith("-c ")]
    assert all(PIN.match(line) for line in lines if not line.startswith("-c "))
    names = [re.split(r"==", line)[0].lower() for line in lines]
    assert len(names) == len(set(names))
    if path.stem == "torch":
        assert lines == ['torch==2.13.0 ; python_version == "3.11"']
    else:
        assert len(bases) == 1
        assert (CONSTRAINTS / bases[0]).is_file()
        assert not any(line.startswith("torch==") for line in lines)


def test_every_package_that_the_metadata_asks_for_is_pinned_for_the_tests() -> None:
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in pins("py")}
    table = project()["project"]
    assert isinstance(table, dict)
    runtime = {re.split(r"[\[>=<]", one)[0].lower() for one in table["dependencies"]}
    assert runtime <= pinned


def pins(env: str) -> list[str]:
    lines = read(f"constraints/{env}.txt").splitlines()
    bases = [line[3:-4] for line in lines if line.startswith("-c ")]
    return [line for line in lines if "==" in line] + [pin for base in bases for pin in pins(base)]


def test_ci_fails_where_the_shared_data_is_missing(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip(".ci/run is a bash script")
    environ = os.environ | {"RAGD_TUNE_DATA": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run")],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "missing:" in done.stderr
    assert "tests" not in done.stdout


def test_every_check_is_part_of_ci() -> None:
    script = read(".ci/run")
    for env in ("lint", "types", "imports", "docs", "wheels"):
        assert re.search(rf"for name in .*\b{env}\b.*; do", script), env


def test_the_workflow_runs_on_three_systems_and_says_that_it_has_not_been_run() -> None:
    text = read(".github/workflows/ci.yml")
    assert "has not been run" in text.partition("\nname:")[0]
    matrix = yaml.safe_load(text)["jobs"]["tests"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_pre_commit_fetches_nothing() -> None:
    repos = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}
    assert {hook["language"] for repo in repos for hook in repo["hooks"]} == {"system"}


def test_the_contracts_cover_every_distribution() -> None:
    tool = project()["tool"]
    assert isinstance(tool, dict)
    ours = {path.name for path in ROOT.glob("plugins/*/src/*") if path.is_dir()}
    assert set(tool["importlinter"]["root_packages"]) == ours | {"ragd_tune"}
    assert set(tool["coverage"]["run"]["source_pkgs"]) == ours | {"ragd_tune"}


def test_every_room_of_the_core_has_a_layer() -> None:
    tool = project()["tool"]
    assert isinstance(tool, dict)
    layers = " ".join(tool["importlinter"]["contracts"][0]["layers"])
    rooms = {
        path.stem
        for path in (ROOT / "src" / "ragd_tune").iterdir()
        if (path.suffix == ".py" or path.is_dir()) and not path.name.startswith("__")
    }
    assert rooms <= set(re.findall(r"\w+", layers)), "name new rooms in the import contracts"


def test_a_file_with_a_fault_is_named_with_its_line(tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.txt"
    faulty.write_text("fine\nblank at the end \n\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "check_text.py"), str(faulty)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "faulty.txt: line 2: blanks" in done.stderr
    assert "exactly one newline" in done.stderr
