"""Docstrings, signatures and tables as Markdown."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = (" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in r) for r in lines)
    return "\n".join(f"| {row} |" for row in cells)


def prose(doc: str | None) -> str:
    """Return a docstring as Markdown; a field list becomes bullets."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(doc or ""))
    text = text.replace("``", "`")
    text = re.sub(r"^\.\. versionadded:: (\S+)", r"Since \1.", text, flags=re.MULTILINE)
    text = re.sub(r"^:raises (\w+):", r"- raises `\1`:", text, flags=re.MULTILINE)
    text = re.sub(r"^:param (\w+):", r"- `\1`:", text, flags=re.MULTILINE)
    return re.sub(r"^:return:", "- returns", text, flags=re.MULTILINE)


def signature(call: Callable[..., object]) -> str:
    """Return name, parameters and result as the source has them."""
    shown: list[str] = []
    found = inspect.signature(call)
    for one in found.parameters.values():
        if one.name in {"self", "cls"}:
            continue
        if one.kind is one.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        default = "" if one.default is one.empty else f" = {one.default!r}"
        shown.append(f"{one.name}: {one.annotation}{default}")
    return f"{call.__name__}({', '.join(shown)}) -> {found.return_annotation}"


def public(module: ModuleType) -> dict[str, object]:
    """Return the public classes and functions that a module itself defines.

    A package defines what its modules do and it lists in ``__all__``.
    """
    inside = f"{module.__name__}."
    listed = getattr(module, "__all__", ())

    def own(name: str, item: object) -> bool:
        home = str(getattr(item, "__module__", ""))
        return home == module.__name__ or (name in listed and home.startswith(inside))

    return {
        name: item
        for name, item in vars(module).items()
        if not name.startswith("_") and own(name, item)
        and (inspect.isclass(item) or inspect.isfunction(item))
    }  # fmt: skip


def described(item: object, level: str = "###") -> str:
    """Return a class with its fields and methods, or a function, as Markdown."""
    if inspect.isfunction(item):
        shown = f"```python\n{signature(item)}\n```"
        return f"{level} {item.__name__}\n\n{shown}\n\n{prose(item.__doc__)}"
    assert inspect.isclass(item)
    parts = [f"{level} {item.__name__}", prose(item.__doc__)]
    if dataclasses.is_dataclass(item):
        rows = [(f"`{f.name}`", f"`{f.type}`", _default(f)) for f in dataclasses.fields(item)]
        parts.append(table(("field", "type", "default"), rows))
    members = [(n, m) for n, m in vars(item).items() if not n.startswith("_")]
    parts.append("\n".join(f"- {_member(name, one)}" for name, one in members if _is_member(one)))
    return "\n\n".join(filter(None, parts))


def _is_member(one: object) -> bool:
    return isinstance(one, (property, classmethod)) or inspect.isfunction(one)


def _member(name: str, one: object) -> str:
    call = one.fget if isinstance(one, property) else getattr(one, "__func__", one)
    assert callable(call)
    first = prose(call.__doc__).split("\n\n")[0].replace("\n", " ")
    if isinstance(one, property):
        return f"`{name}: {inspect.signature(call).return_annotation}`: {first}"
    return f"`{signature(call)}`: {first}"


def _default(one: dataclasses.Field[object]) -> str:
    if one.default is not dataclasses.MISSING:
        return f"`{one.default!r}`" if not callable(one.default) else "does nothing"
    return "needed" if one.default_factory is dataclasses.MISSING else "empty"
