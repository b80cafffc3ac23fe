"""Check text files: one final newline, no trailing blanks, no conflict marks, no machine paths.

It looks at every file that git tracks, or at those that are named.

Usage: python tools/check_text.py [FILE ...]
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CONFLICT = re.compile(r"^(<{7}|>{7})( |$)", re.MULTILINE)
BLANKS = re.compile(r"[ \t]+$", re.MULTILINE)
HOME = re.compile(r"/(?:home|Users)/[a-z][\w.-]*/|/root/|[A-Z]:\\Users\\")
LIMIT = 1_000_000


def tracked() -> list[Path]:
    """Return what git tracks in this checkout."""
    done = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - whichever git the developer uses
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [ROOT / name for name in done.stdout.split("\0") if name]


def faults(path: Path) -> Iterator[str]:
    """Yield what is wrong with ``path``; a binary file is only held to the size limit."""
    data = path.read_bytes()
    if len(data) > LIMIT:
        yield f"larger than {LIMIT:,} bytes"
    if not data or b"\0" in data:
        return
    text = data.decode("utf-8")
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield "does not end in exactly one newline"
    for what, pattern in (
        ("blanks at the end of a line", BLANKS),
        ("a conflict mark", CONFLICT),
        ("a path of one machine", HOME),
    ):
        # Tests make up the paths of other people's machines.
        if pattern is HOME and "tests" in path.parts:
            continue
        if found := pattern.search(text):
            yield f"line {text.count(chr(10), 0, found.start()) + 1}: {what}"


def main() -> None:
    """Report every fault and fail if there is one."""
    paths = [Path(name).resolve() for name in sys.argv[1:]] or tracked()
    lines = [
        f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: {fault}"
        for path in paths
        if path.is_file() and path != Path(__file__).resolve()
        for fault in faults(path)
    ]
    sys.exit("\n".join(lines) if lines else 0)


if __name__ == "__main__":
    main()
