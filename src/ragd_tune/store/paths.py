"""Which names a file of an adapter may have: the same rule for folders and for archives."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from ragd_tune.errors import RefusedAdapterError

_DRIVE = re.compile(r"[A-Za-z]:")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+@=-]*")
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?", re.IGNORECASE)
MAX_NAME = 240


def refuse(
    where: str, why: str, mend: str = "use an adapter from a source that you trust"
) -> NoReturn:
    """Raise the one error of this room for a file ``where``.

    :raises RefusedAdapterError: always.
    """
    raise RefusedAdapterError(f"{where}: {why}", mend=mend)


def check_path(name: str) -> None:
    """Refuse a name that leads out, or that means another file on another system.

    :raises RefusedAdapterError: with the rule that ``name`` breaks.
    """
    shown = ascii(name[:MAX_NAME])
    if why := _broken_rule(name):
        refuse(shown, why, "a file's name is a relative path of plain letters, digits and ._+@=-")


def _broken_rule(name: str) -> str:
    """Return the first rule that the whole of ``name`` breaks, or an empty text."""
    if not name:
        return "the name is empty"
    if len(name) > MAX_NAME:
        return f"the name is longer than {MAX_NAME} characters"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return "the name holds a control character"
    if "\\" in name:
        return "the name holds a backslash"
    if name.startswith("/"):
        return "the name is absolute"
    if _DRIVE.match(name):
        return "the name starts with a drive letter"
    return next(filter(None, map(_broken_part, name.split("/"))), "")


def _broken_part(part: str) -> str:
    """Return the first rule that one part of a name breaks, or an empty text."""
    if part == "..":
        return "the name leads out of the folder by '..'"
    if part in {"", "."}:
        return "the name has an empty part"
    if _RESERVED.fullmatch(part):
        return f"{part!r} is a reserved name on Windows"
    if part.endswith((".", " ")):
        return "a part of the name ends in a dot or a space, which Windows drops"
    if not _PLAIN.fullmatch(part):
        return "the name holds characters that not every system can store"
    return ""


def check_collisions(names: Iterable[str]) -> None:
    """Refuse names that collide where case does not count, and files that are also folders.

    :raises RefusedAdapterError: with both names.
    """
    seen: dict[str, str] = {}
    for name in sorted(names):
        if (twin := seen.setdefault(name.lower(), name)) is not name:
            refuse(name, f"the same name as {twin!r} where case does not count")
        for parent in _parents(name.lower()):
            if parent in seen:
                refuse(name, f"{seen[parent]!r} is a file, not a folder")


def _parents(name: str) -> Iterable[str]:
    parts = name.split("/")[:-1]
    return ("/".join(parts[: end + 1]) for end in range(len(parts)))
