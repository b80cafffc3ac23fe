"""Numbers that look drawn, and that a text decides: the same on every machine and in any order."""

from __future__ import annotations

import hashlib


def drawn(text: str, below: int) -> int:
    """Return a number from 0 to ``below`` - 1."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % below
