"""Which names a file of an adapter may have: the same rule for folders and for archives."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


class Names:
    """Names of one adapter's files, none of which may collide where case does not count."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._files)

    def add(self, name: str) -> None:
        """Add a file.

        :raises RefusedAdapterError: it collides with one that is there; names both.
        """
        key = name.lower()
        if twin := self._files.get(key):
            same = "comes twice" if twin == name else f"is {twin!r} where case does not count"
            refuse(name, same)
        if below := self._folders.get(key):
            refuse(name, f"{below!r} needs it to be a folder")
        for parent in _parents(key):
            if parent in self._files:
                refuse(name, f"{self._files[parent]!r} is a file, not a folder")
            self._folders[parent] = name
        self._files[key] = name


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name
