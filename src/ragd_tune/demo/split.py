"""Which side of the split a module is on: decided by its family's name alone.

A family is a top-level package or module, with its twins: ``_pydecimal`` is ``decimal`` once more,
and what training reads in one must not be asked about in the other. A hash of the name decides, so
that a module stays where it is when others come and go between versions of Python.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Side = Literal["train", "dev", "test"]

SALT = "ragd-tune demo 4389"
"""One of some thousands of numbered ones, chosen by counts alone: about a quarter of the pairs for
the test, in as many families of like size as can be had, since families are what a proof counts;
and the largest, tkinter, which some distributions leave out, where it only trains."""

TEST, DEV = 0.36, 0.10
"""Shares of the families; the rest trains."""

_TWINS = {
    "path": ("genericpath", "nturl2path", "ntpath", "pathlib", "posixpath"),
    "re": ("sre_compile", "sre_constants", "sre_parse"),
    "collections": ("collections_abc",),
    "compression": ("bz2", "gzip", "lzma"),
    "datetime": ("strptime",),
    "dbm": ("shelve",),
    "html": ("markupbase",),
    "importlib": ("imp", "pkgutil", "runpy", "zipimport"),
    "numbers": ("fractions",),
    "profile": ("cProfile", "pstats"),
    "sysconfig": ("aix_support", "distutils", "osx_support"),
    "threading": ("threading_local",),
    "tkinter": ("turtle",),
    "weakref": ("weakrefset",),
}
_FAMILY = {twin: family for family, twins in _TWINS.items() for twin in twins}


def family(module: str) -> str:
    """Return the family of a module: ``io`` of ``_pyio``, ``asyncio`` of ``asyncio.queues``."""
    top = module.partition(".")[0]
    plain = top.removeprefix("_py").lstrip("_") if top.startswith("_") else top
    return _FAMILY.get(plain, plain)


def side(name: str) -> Side:
    """Return the side of the family ``name``: the same on every machine and version."""
    digest = hashlib.sha256(f"{SALT}/{name}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    if share < TEST:
        return "test"
    return "dev" if share < TEST + DEV else "train"
