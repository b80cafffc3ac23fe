"""The reference says what the code does: no hook, option, field, flag or variable is missing."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ragd_tune import errors, hookspecs, options
from ragd_tune.objectives import CORE_OBJECTIVES
from ragd_tune.store import BaseRef, FileEntry, Manifest, Prompts

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def text(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def writer() -> Iterator[ModuleType]:
    path = ROOT / "tools" / "write_reference.py"
    spec = importlib.util.spec_from_file_location("write_reference", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)  # and what the script puts there goes, too
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize(
    "name",
    [
        "commands.md", "options.md", "hooks.md", "exit-codes.md", "manifest.md", "plugin-api.md",
        "environment.md", "backends.md",
    ],
)  # fmt: skip
def test_a_page_is_what_the_code_makes_today(writer: ModuleType, name: str) -> None:
    assert text(name) == writer.page(name), "run python tools/write_reference.py"


def test_every_page_that_is_made_is_among_those_compared(writer: ModuleType) -> None:
    made = {path.name for path in REFERENCE.glob("*.md") if writer.MADE in text(path.name)}
    assert made == set(writer.PAGES)


def test_a_cell_without_a_test_is_no_cell(
    writer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools.reference import cells

    monkeypatch.delitem(cells.SUITES, ("mlx", ""))
    with pytest.raises(SystemExit, match=r"mlx: .* is declared, and no test is named"):
        writer.page("backends.md")
    monkeypatch.undo()
    monkeypatch.delitem(cells.OWN, ("mlx", "relevance", "full", "both"))
    with pytest.raises(SystemExit, match="mlx: nothing here makes relevance in format full"):
        writer.page("backends.md")


def test_every_hook_is_documented_with_its_exact_signature() -> None:
    page = text("hooks.md")
    names = (*hookspecs.COLLECTED, *hookspecs.DIRECTED, *hookspecs.BROADCAST)
    assert set(names) == {name for name in vars(hookspecs) if name.startswith("ragd_tune_")}
    for name in names:
        found = inspect.signature(getattr(hookspecs, name))
        taken = ", ".join(f"{one.name}: {one.annotation}" for one in found.parameters.values())
        assert f"{name}({taken}) -> {found.return_annotation}" in page


def test_every_option_is_documented_with_its_range() -> None:
    page = text("options.md")
    for option in (*options.CHOICES, *options.RUN, *options.LORA, *options.CONTRASTIVE):
        line = next(line for line in page.splitlines() if line.startswith(f"| `{option.flag}` "))
        assert option.range in line
        assert option.help in line
        assert option.reason in line
        assert f"| `{option.variable}` " in text("environment.md")


def test_every_exit_code_and_error_is_documented() -> None:
    page = text("exit-codes.md")
    for name, value in vars(errors).items():
        if name.isupper() and isinstance(value, int):
            assert f"| {value} |" in page
        if inspect.isclass(value) and issubclass(value, errors.TuneError):
            assert f"| `{name}` | {value.exit_code} |" in page


def test_every_field_of_the_manifest_is_documented() -> None:
    page = text("manifest.md")
    for model in (Manifest, BaseRef, Prompts, FileEntry):
        for name, field in model.model_fields.items():
            assert f"| `{field.alias or name}` |" in page


def test_every_environment_variable_that_the_code_reads_is_documented() -> None:
    page = text("environment.md")
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    for path in sources:
        for name in re.findall(r"\"(RAGD_TUNE_[A-Z_]+[A-Z])\"", path.read_text(encoding="utf-8")):
            assert f"| `{name}` |" in page, path


def test_every_file_of_the_store_is_documented() -> None:
    page = text("store-layout.md")
    for name in re.findall(r"``([^`]+)``", _docstring("store/layout.py")):
        assert f"`{name}`" in page


def _docstring(name: str) -> str:
    source = (ROOT / "src" / "ragd_tune" / name).read_text(encoding="utf-8")
    return source.split('"""')[1]


def test_every_code_that_a_check_of_data_finds_is_documented() -> None:
    page = text("data-formats.md")
    found = {
        code
        for path in (ROOT / "src" / "ragd_tune" / "data").glob("*.py")
        for code in re.findall(r"\"([a-z]+(?:-[a-z]+)+)\"", path.read_text(encoding="utf-8"))
    }
    assert len(found) > 40
    for code in found:
        assert f"`{code}`" in page


def test_the_figures_of_the_gate_are_those_beside_the_code() -> None:
    source = (ROOT / "src/ragd_tune/evaluate/significance.py").read_text(encoding="utf-8")
    page = (ROOT / "docs/explanation/proof-and-gate.md").read_text(encoding="utf-8")
    rows = re.findall(r"^(\w.+?)  +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", source, re.MULTILINE)
    assert len(rows) == 7
    for row in rows:
        assert f"| {' | '.join(row)} |" in page


def test_the_flags_of_evaluate_that_come_from_the_proofs_are_on_the_page_of_commands() -> None:
    section = text("commands.md").split("\n## ragd-tune evaluate\n")[1].split("\n## ")[0]
    for flag in ("--data", "--other", "--no-forgetting", "--proof-precision", "--first-stage"):
        assert f"`{flag}`" in section


def test_the_plugin_api_has_the_types_of_packages_and_the_rows_of_each_objective() -> None:
    page = text("plugin-api.md")
    for name in ("Backend", "Field", "ModelKind", "Objective", "Option", "Rows", "batches"):
        assert f"\n### {name}\n" in page
    for objective in CORE_OBJECTIVES:
        for field in objective.fields:
            assert f"| `{objective.id}` | `{field.name}` | {field.type} |" in page


def test_the_default_that_is_shown_for_a_map_is_that_of_the_side_query() -> None:
    section = text("options.md").split("## Defaults of the kind `bi-encoder`")[1].split("\n## ")[0]
    batch = next(line for line in section.splitlines() if line.startswith("| `batch_size`"))
    assert batch.endswith("| `32` |")
