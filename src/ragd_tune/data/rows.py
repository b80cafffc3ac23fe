"""Rows of JSONL and JSON files as checked dictionaries, each with its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ragd_tune.data.findings import BadRow, Findings
from ragd_tune.data.lines import decode, lines, raw_lines

_JSON_MEND = 'write one JSON object a line, such as {"query": "…", "positive": "…"}'

_RAFT = "if RAFT's reference implementation wrote it: ragd-tune data convert FILE OUT"


@dataclass(frozen=True, slots=True)
class Row:
    """One record: where it stands, and its fields as the file has them."""

    line: int
    values: dict[str, object]

    def first(self, *names: str) -> tuple[str, object]:
        """Return the first of ``names`` that is here and not null, or ``("", None)``."""
        for name in names:
            if self.values.get(name) is not None:
                return name, self.values[name]
        return "", None

    @property
    def _is_rafts(self) -> bool:
        """Whether these are the fields of a format of RAFT's reference implementation."""
        formats = ({"question", "cot_answer"}, {"prompt", "completion"}, {"messages"})
        return any(fields <= self.values.keys() for fields in formats)

    def text(self, *names: str) -> str:
        """Return a text that must be here and must not be empty."""
        name, value = self.first(*names)
        if not name:
            has = ", ".join(repr(key) for key in list(self.values)[:8]) or "nothing"
            wanted = " or ".join(repr(name) for name in names)
            mend = _RAFT if self._is_rafts else f"add {wanted}"
            raise BadRow("missing-field", f"has no {wanted} (it has {has})", mend)
        text = as_text(name, value)
        if not text.strip():
            raise BadRow("empty-text", f"{name!r} is empty", "fill it or remove the row")
        return text

    def optional(self, *names: str) -> str:
        """Return a text, or an empty one where the field is missing or null."""
        name, value = self.first(*names)
        return as_text(name, value) if name else ""

    def identity(self, *names: str) -> str:
        """Return an id that must be here: a text or a whole number."""
        name, value = self.first(*names)
        if not name:
            wanted = " or ".join(repr(name) for name in names)
            raise BadRow("missing-field", f"has no {wanted}", f"add {wanted}")
        return as_id(name, value)

    def optional_id(self, *names: str) -> str:
        """Return an id, or an empty text where the field is missing, null or empty."""
        name, value = self.first(*names)
        return as_id(name, value) if name and value != "" else ""


def as_text(name: str, value: object) -> str:
    """Return ``value`` if it is a text that UTF-8 can hold.

    :raises BadRow: it is not.
    """
    if not isinstance(value, str):
        kind = type(value).__name__
        raise BadRow("wrong-type", f"{name!r} is {kind}, not a text", f"write {name!r} as a text")
    if "\x00" in value:
        raise BadRow("binary-text", f"{name!r} holds NUL characters", "remove binary content")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        mend = "write the character itself, or both halves of the pair"
        raise BadRow("bad-unicode", f"{name!r} holds half a surrogate pair", mend) from None
    return value


def as_id(name: str, value: object) -> str:
    """Return ``value`` as an id that a line of TSV can hold.

    :raises BadRow: it is no text or whole number, is empty, or has blanks around or controls in it.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = as_text(name, value)
    if not text or text != text.strip() or not text.isprintable():
        mend = "use ids without blanks around them, tabs or line breaks"
        raise BadRow("bad-id", f"{name!r} is not a usable id: {text[:40]!r}", mend)
    return text


class _Bad(ValueError):
    """A fault inside one JSON value, with its code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Bad("duplicate-key", f"the key {twice!r} stands twice in one object")
    return made


def _constant(name: str) -> NoReturn:
    raise _Bad("not-a-number", f"{name} is not a number that JSON knows")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def parse(text: str, at: int = 0) -> tuple[object, int]:
    """Return the JSON value that starts at ``at``, and where it ends.

    :raises BadRow: it is not JSON, has a key twice, NaN, or is nested too deep.
    """
    try:
        return _DECODER.raw_decode(text, at)
    except _Bad as error:
        raise BadRow(error.code, str(error), "correct the row") from None
    except json.JSONDecodeError as error:
        what = f"is not valid JSON: {error.msg} at column {error.pos - at + 1}"
        raise BadRow("bad-json", what, _JSON_MEND) from None
    except (RecursionError, ValueError) as error:
        raise BadRow("bad-json", f"is not usable JSON: {error}", _JSON_MEND) from None


def _row(value: object, line: int) -> Row:
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise BadRow("not-an-object", f"is a JSON {kind}, not an object", _JSON_MEND)
    return Row(line, value)


def _only(text: str, line: int) -> Row:
    start = len(text) - len(text.lstrip())
    value, end = parse(text, start)
    if text[end:].strip():
        raise BadRow("bad-json", "has more than one JSON value", _JSON_MEND)
    return _row(value, line)


def jsonl(path: Path, findings: Findings) -> Iterator[Row]:
    """Yield the rows of a JSONL file, streamed."""
    for number, text in lines(path, findings):
        try:
            row = _only(text, number)
        except BadRow as bad:
            findings.bad_row(bad, path, number)
        else:
            yield row


def json_array(path: Path, findings: Findings) -> Iterator[Row]:
    """Yield the rows of a JSON file that holds one array of objects, each with its line."""
    parts = [decode(raw, path, number, findings) for number, raw in raw_lines(path, findings)]
    text = "".join(part or "" for part in parts)
    line, counted = 1, 0
    for at, value in _values(text) if text.strip() else ():
        line, counted = line + text.count("\n", counted, at), at
        try:
            row = _row(_valid(value), line)
        except BadRow as bad:
            findings.bad_row(bad, path, line)
        else:
            yield row


def _valid(value: object) -> object:
    if isinstance(value, BadRow):
        raise value
    return value


def _values(text: str) -> Iterator[tuple[int, object]]:
    """Yield (position, value) of the values of an array; a fault comes as the last value."""
    at = _skip(text, 0)
    if text[at] != "[":
        mend = "write [{…}, {…}], or name a file of one object a line .jsonl"
        yield at, BadRow("not-a-list", "does not hold a list of objects", mend)
        return
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        try:
            value, end = parse(text, at)
        except BadRow as bad:
            yield at, bad
            return
        yield at, value
        start, at = at, _skip(text, end)
        if text[at : at + 1] not in (",", "]"):
            what = "breaks off, or lacks a comma, after this row"
            yield start, BadRow("bad-json", what, _JSON_MEND)
            return
        at = _skip(text, at + 1) if text[at] == "," else at
    if text[at + 1 :].strip():
        yield at, BadRow("bad-json", "goes on after the end of the list", _JSON_MEND)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
