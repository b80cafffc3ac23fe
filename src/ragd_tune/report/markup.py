"""Elements of HTML and SVG. What is not marked as markup is escaped: texts of data stay texts."""

from __future__ import annotations

import re
from html import escape

# What XML forbids even escaped, and what would turn the text around it to the other direction.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")

EMPTY = frozenset({"meta", "line", "rect", "circle", "polyline", "path", "br"})


_CAMELS = frozenset({"viewBox", "preserveAspectRatio"})


class Markup(str):
    """Text that is markup already. Only :func:`el` and :func:`join` make it."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Return ``value`` as text of a document: escaped, unless it is markup."""
    if isinstance(value, Markup):
        return value
    plain = _TURNING.sub("", _FORBIDDEN.sub("\ufffd", str(value)))
    return Markup(escape(plain, quote=True))


def join(*parts: object) -> Markup:
    """Return parts one after the other; what is None is left out."""
    return Markup("".join(text(part) for part in parts if part is not None))


def el(name: str, /, *inside: object, **attributes: object) -> Markup:
    """Return one element.

    An attribute's name loses a final ``_`` (``class_``), and ``_`` becomes ``-``; one that is None
    is left out. Numbers are rounded to a hundredth, which is finer than a pixel.
    """
    told = "".join(
        f' {_attribute(key)}="{text(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in EMPTY:
        return Markup(f"<{name}{told}/>")
    return Markup(f"<{name}{told}>{join(*inside)}</{name}>")


def _attribute(key: str) -> str:
    return key if key in _CAMELS else key.rstrip("_").replace("_", "-")


def _number(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return value
