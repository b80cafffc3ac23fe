"""Puts the plugins that the suites run on where this process and its children find them."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

for place in (HERE / "plugins", HERE.parent / "third_party" / "ragd-tune-toy" / "src"):
    if str(place) not in sys.path:
        sys.path.append(str(place))
