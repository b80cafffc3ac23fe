"""Make a picture of a terminal from the captured text of a real run.

Usage: python tools/picture.py OUTPUT.txt docs/images/demo.svg [TITLE]

The text is shown as it is, but for this user's home folder, which becomes ``~``, and for the
progress of the training, of which the first and the last line stay.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 110
ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def tidy(text: str) -> str:
    """Return ``text`` without colours, this machine's folders and most of the progress."""
    plain = ANSI.sub("", text).replace("\r\n", "\n")
    plain = plain.replace(str(Path.home()), "~")
    lines = [line.rpartition("\r")[2].rstrip() for line in plain.strip("\n").split("\n")]
    moving = [i for i, line in enumerate(lines) if line.startswith("training: ")]
    dropped = set(moving[1:-1])
    return "\n".join(line for i, line in enumerate(lines) if i not in dropped)


def picture(text: str, title: str) -> str:
    """Return an SVG of ``text`` in a window; it fetches nothing, fonts neither."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=False)
    console.print(Text(tidy(text)))
    local = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    local = local.replace("Fira Code, monospace", "monospace")
    return console.export_svg(title=title, theme=MONOKAI, code_format=local, unique_id="demo")


def main() -> None:
    """Read the text, write the picture."""
    if len(sys.argv) not in {3, 4}:
        sys.exit(__doc__)
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    title = sys.argv[3] if len(sys.argv) == 4 else "ragd-tune demo"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text(encoding="utf-8")
    lines = [line.rstrip() for line in picture(text, title).rstrip().split("\n")]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    sys.stdout.write(f"wrote {target}\n")


if __name__ == "__main__":
    main()
