"""The command line starts fast: what is imported is counted, since seconds are not repeatable."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = (
    "torch", "transformers", "sentence_transformers", "peft", "mlx", "unsloth",
    "numpy", "pydantic", "rich", "yaml", "huggingface_hub", "safetensors", "importlib.metadata",
)  # fmt: skip


def modules_after(code: str) -> list[str]:
    script = f"{code}\nimport sys\nprint('MODULES', *sorted(sys.modules))"
    # Measuring coverage starts in every process, and would be counted as ours.
    environ = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environ
    )
    line = next(one for one in done.stdout.splitlines() if one.startswith("MODULES"))
    return line.split()[1:]


def test_importing_the_package_imports_no_framework_and_no_numpy() -> None:
    loaded = modules_after("import ragd_tune, ragd_tune.hookspecs")
    assert [name for name in HEAVY if name in loaded and name != "importlib.metadata"] == []
    assert len(loaded) < 140


def test_help_imports_no_framework_no_plugin_and_no_command() -> None:
    loaded = modules_after("from ragd_tune.cli import run; run(['--help'])")
    assert [name for name in HEAVY if name in loaded and name != "importlib.metadata"] == []
    assert not [name for name in loaded if name.startswith("ragd_tune_")]
    assert "ragd_tune.cli.train" not in loaded
    assert len(loaded) < 220


@pytest.mark.parametrize("command", [["plugins"], ["train", "bi-encoder", "--help"], ["doctor"]])
def test_looking_around_imports_no_framework(command: list[str]) -> None:
    loaded = modules_after(f"from ragd_tune.cli import run; run({command!r})")
    assert [
        n for n in ("torch", "transformers", "sentence_transformers", "peft") if n in loaded
    ] == []
