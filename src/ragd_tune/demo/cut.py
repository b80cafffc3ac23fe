"""Functions and classes of a Python source, each with its docstring cut out.

The cut follows the positions of the syntax tree, so what stays is the author's own text: comments,
blank lines, strings, decorators. Nothing is imported or run.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# t-strings came with Python 3.14
_TEXTS = (ast.Constant, ast.JoinedStr, getattr(ast, "TemplateStr", ast.JoinedStr))

_SEMICOLON = re.compile(rb"[ \t\f]*;(?:[ \t\f]|\\\n)*")
_BLANK = re.compile(rb"[ \t\f]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A function or class: its name within the module, its docstring, and the rest of its source.

    ``source`` is dedented and holds no docstring, neither its own nor one of what is defined
    inside it. ``does_something`` is False for a body of nothing but ``pass``, ``...`` or
    ``raise NotImplementedError``.
    """

    name: str
    docstring: str
    source: str
    does_something: bool


@dataclass(frozen=True, slots=True)
class _Cut:
    """Bytes ``start`` to ``stop`` give way to ``new``."""

    start: int
    stop: int
    new: bytes = b""


def decode(raw: bytes) -> str:
    """Return a source file's text by its own declared encoding, lines ended by line feeds.

    :raises SyntaxError: the declared encoding is unknown.
    :raises UnicodeDecodeError: the bytes are not of that encoding.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
    return raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def pieces(text: str) -> Iterator[Piece]:
    """Yield the documented functions and classes of ``text``, in its order, at any depth.

    ``text`` has lines ended by line feeds alone, as :func:`decode` returns it.

    :raises SyntaxError: ``text`` is not Python of this interpreter's version.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and the like are the author's business
        tree = ast.parse(text)
    source = _Source(text, tree)
    for name, node in _definitions(tree, ""):
        docstring = ast.get_docstring(node)
        if docstring:
            yield Piece(
                name=name,
                docstring=docstring,
                source=source.without_docstrings(node),
                does_something=any(map(_does_something, node.body)),
            )


def _definitions(node: ast.AST, within: str) -> Iterator[tuple[str, Definition]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _DEFINITIONS):
            name = f"{within}{child.name}"
            yield name, child
            yield from _definitions(child, f"{name}.")
        else:
            yield from _definitions(child, within)


def _does_something(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return False
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Raise):
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return not (isinstance(raised, ast.Name) and raised.id == "NotImplementedError")
    return True


def _strings(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the strings that ``body`` begins with: without the first, the next is a docstring."""
    found: list[ast.stmt] = []
    for statement in body:
        value = statement.value if isinstance(statement, ast.Expr) else None
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            break
        found.append(statement)
    return found


class _Source:
    """A source in bytes (the tree counts columns in bytes of UTF-8), and where to cut it."""

    def __init__(self, text: str, tree: ast.Module) -> None:
        self.data = text.encode()
        self.lines = [0, *(match.end() for match in re.finditer(rb"\n", self.data))]
        self.cuts: list[_Cut] = []
        self.inside: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, _DEFINITIONS):
                self.cuts += self._docstring_cuts(node.body)
            elif isinstance(node, _TEXTS):
                self.inside.update(range(node.lineno + 1, (node.end_lineno or 0) + 1))
        self.cuts.sort(key=lambda cut: cut.start)
        self.starts = [cut.start for cut in self.cuts]

    def at(self, line: int | None, column: int | None) -> int:
        """Return the byte at a position of the tree: lines from 1, columns in bytes from 0."""
        assert line is not None
        assert column is not None
        return self.lines[line - 1] + column

    def line_end(self, position: int) -> int:
        """Return where the line that holds ``position`` ends, before its line break."""
        end = self.data.find(b"\n", position)
        return len(self.data) if end < 0 else end

    def _docstring_cuts(self, body: list[ast.stmt]) -> Iterator[_Cut]:
        strings = _strings(body)
        for number, node in enumerate(strings):
            start = self.at(node.lineno, node.col_offset)
            stop = self.at(node.end_lineno, node.end_col_offset)
            if number == 0 and len(strings) == len(body):
                yield _Cut(start, stop, b"pass")  # a body cannot be empty
            else:
                yield self._removal(start, stop)

    def _removal(self, start: int, stop: int) -> _Cut:
        """Cut a statement that others follow, with its semicolon, and its lines if left blank."""
        semicolon = _SEMICOLON.match(self.data, stop)
        stop = semicolon.end() if semicolon else stop
        begin = self.lines[bisect_right(self.lines, start) - 1]
        if not _BLANK.fullmatch(self.data, begin, start):
            return _Cut(start, stop)
        blank = _BLANK.match(self.data, stop)
        stop = blank.end() if blank else stop
        return _Cut(begin, stop + 1) if stop == self.line_end(stop) else _Cut(start, stop)

    def without_docstrings(self, node: Definition) -> str:
        """Return the source of ``node`` from its first decorator on, cut and dedented."""
        start = self._start(node)
        # A comment behind the last statement is on its line; nothing but the node's own can follow.
        end = self.line_end(self.at(node.end_lineno, node.end_col_offset))
        inner = self.cuts[bisect_right(self.starts, start) : bisect_right(self.starts, end)]
        cuts = sorted([*inner, *self._dedents(start, end, inner)], key=lambda cut: cut.start)
        kept, position = [], start
        for cut in cuts:
            kept += [self.data[position : cut.start], cut.new]
            position = cut.stop
        kept.append(self.data[position:end])
        return b"".join(kept).decode()

    def _start(self, node: Definition) -> int:
        if not node.decorator_list:
            return self.at(node.lineno, node.col_offset)
        first = node.decorator_list[0]
        return self.data.rindex(b"@", 0, self.at(first.lineno, first.col_offset))

    def _dedents(self, start: int, end: int, cuts: list[_Cut]) -> Iterator[_Cut]:
        """Cut the first line's indentation off the others, but never inside a string."""
        first = bisect_right(self.lines, start)
        # A form feed sets the column back to 0: what stands before it is no indentation.
        indent = self.data[self.lines[first - 1] : start].rpartition(b"\f")[2]
        if not indent:
            return
        for number in range(first + 1, bisect_right(self.lines, end) + 1):
            begin = self.lines[number - 1]
            if number in self.inside or not self.data.startswith(indent, begin):
                continue
            if not any(cut.start <= begin < cut.stop for cut in cuts):
                yield _Cut(begin, begin + len(indent))
