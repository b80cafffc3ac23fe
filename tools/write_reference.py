"""Write the pages of docs/reference/ that follow from the code.

Usage: python tools/write_reference.py

They are committed, so that they can be read without building anything; a test makes them again and
compares.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.reference import pages  # noqa: E402
from tools.reference.cells import backends_page  # noqa: E402
from tools.reference.commands import commands  # noqa: E402

OUT = ROOT / "docs" / "reference"
MADE = "<!-- Made by tools/write_reference.py: change the code or that script, not this page. -->"

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "options.md": pages.options_page,
    "backends.md": backends_page,
    "hooks.md": pages.hooks,
    "exit-codes.md": pages.exit_codes,
    "manifest.md": pages.manifest,
    "plugin-api.md": pages.plugin_api,
    "environment.md": pages.environment,
}


def page(name: str) -> str:
    """Return the whole text of one page."""
    title, _, rest = PAGES[name]().partition("\n\n")
    return f"{title}\n\n{MADE}\n\n{rest}\n"


def main() -> None:
    """Write every page."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        (OUT / name).write_text(page(name), encoding="utf-8", newline="\n")
    sys.stdout.write(f"wrote {len(PAGES)} pages to {OUT}\n")


if __name__ == "__main__":
    main()
