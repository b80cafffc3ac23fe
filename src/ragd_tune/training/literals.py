"""A table that a library keeps in its source, read without importing the library."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path


def home(package: str) -> Path | None:
    """Return the folder of an installed package; None if it is not here."""
    spec = find_spec(package)
    place = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    return Path(place) if place else None


def literal(package: str, file: str, name: str) -> object:
    """Return what ``name`` is assigned in ``file`` of ``package``, in the module or in a class.

    None where the package is missing, or its next release keeps the table elsewhere: who asks has
    to do without.
    """
    folder = home(package)
    path = folder / file if folder else None
    if path is None or not path.is_file():
        return None
    for one in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == name:
            try:
                found: object = ast.literal_eval(one.value)
            except ValueError:
                return None
            return found
    return None
