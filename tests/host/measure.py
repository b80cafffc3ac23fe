"""Ask ragd's own, unmodified command many questions in one process. Run with ragd's Python.

``measure.py QUESTIONS OUT`` reads ``{id: text}`` and writes ``{id: {"output", "documents"}}``: what
``ragd search TEXT --format json`` printed, and the files that its results come from. The thresholds
are those of ragd's configuration.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from ragd.cli import app


def main(questions: Path, out: Path) -> None:
    """Ask every question."""
    told = {}
    runner = import_module("typer.testing").CliRunner()
    for key, text in json.loads(questions.read_text(encoding="utf-8")).items():
        done = runner.invoke(
            app, ["search", text, "--format", "json", "--no-interactive", "--no-color"]
        )
        found = _documents(done.stdout) if done.exit_code == 0 else []
        told[key] = {"output": done.stdout, "documents": found}
    out.write_text(json.dumps(told), encoding="utf-8")


def _documents(output: str) -> list[str]:
    """Return the stems of the files that results come from, the best first; none if none."""
    if "{" not in output:
        return []
    results = json.loads(output[output.index("{") :]).get("results", [])
    return [Path(one["document"]).stem for one in results]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
