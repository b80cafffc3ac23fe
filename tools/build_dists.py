"""Build all eight distributions: each sdist from the checkout, each wheel from its sdist.

Usage: python tools/build_dists.py OUT. Needs ``build`` and ``hatchling`` in this environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def projects() -> list[Path]:
    """Return the folders of the eight distributions, the core first."""
    return [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


def build(project: Path, out: Path) -> None:
    """Build ``project`` into ``out``, its wheel from its sdist."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(project)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{project.name} does not build:\n{done.stdout}")


def main() -> None:
    """Empty OUT and build into it."""
    out = Path(sys.argv[1]).resolve()
    if out.exists():
        shutil.rmtree(out)
    for project in projects():
        build(project, out)
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:>9,} {path.name}")


if __name__ == "__main__":
    main()
