"""Source code: functions and classes of Python by its own parser, others by their first lines."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from ragd_tune.data.documents.model import Block, Source, paragraphs, tidy

_DEF = re.compile(
    r"^(?:export\s+|pub(?:\([^)]*\))?\s+|public\s+|private\s+|protected\s+|static\s+|async\s+|"
    r"abstract\s+|final\s+|default\s+|inline\s+|unsafe\s+|local\s+)*"
    r"(?:fn|func|function|class|interface|struct|enum|trait|impl|type|module|def|sub|namespace|"
    r"record|object|contract|mod)\s+(?:\([^)\n]*\)\s*)?(?:<[^>\n]*>\s*)?(?:[\w$]+(?:::|\.))*([A-Za-z_$][\w$]*)",
    re.MULTILINE,
)
_COMMENT = re.compile(
    r"(?:^[ \t]*(?://+!?|#+|--+|;+|\*)[ \t]?.*\n|/\*(?:[^*]|\*(?!/))*\*/[ \t]*\n)+\Z",
    re.MULTILINE,
)
_FAR = 4000
"""Characters above a definition in which its comment is looked for."""
_MARKS = re.compile(r"^[ \t]*(?:/\*+!?|\*+/|\*|//+!?|#+|--+|;+)[ \t]?|\*+/[ \t]*$", re.MULTILINE)


def read_python(name: str, text: str) -> Source:
    """Return a Python file: a block for each function and class, its docstring apart.

    A file that this Python cannot parse is read like code of any other language.
    """
    text = tidy(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in somebody else's strings
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return read_code(name, text)
    starts = _line_starts(text)
    about = ast.get_docstring(tree) or ""
    blocks = list(_definitions(tree, text, starts, ()))
    if about:
        blocks.insert(0, Block(text=about, start=0, end=min(len(text), len(about)), name=name))
    if not blocks:
        blocks = paragraphs(text)
    title = about.partition("\n")[0].strip() if about else ""
    return Source(id=name, title=title, text=text, blocks=tuple(blocks))


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _definitions(
    node: ast.AST, text: str, starts: list[int], path: tuple[str, ...]
) -> Iterator[Block]:
    for child in getattr(node, "body", ()):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield _block(child, text, starts, path)
            if isinstance(child, ast.ClassDef):
                yield from _definitions(child, text, starts, (*path, child.name))


def _block(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
    text: str,
    starts: list[int],
    path: tuple[str, ...],
) -> Block:
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    start = starts[first - 1]
    last = node.end_lineno or node.lineno
    body = node.body
    if isinstance(node, ast.ClassDef):  # its methods are blocks of their own
        inner = [n for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        last = min((_first_line(n) - 1 for n in inner), default=last)
    end = max(start, min(starts[last] - 1, len(text)))
    about = ast.get_docstring(node) or ""
    shown = text[start:end]
    if about:
        doc = body[0]
        cut = starts[doc.lineno - 1] - start, starts[doc.end_lineno or doc.lineno] - start
        shown = shown[: cut[0]] + shown[cut[1] :]
    name = ".".join((*path, node.name))
    return Block(
        text=shown.strip("\n").rstrip() or node.name,
        start=start,
        end=end,
        headings=path,
        kind="code",
        name=name,
        about=about,
    )


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(one.lineno for one in node.decorator_list)])


def read_code(name: str, text: str) -> Source:
    """Return code of any language, cut before what begins like a definition at a line's start.

    The comment right above a definition is its docstring, and is taken out of the block.
    """
    text = tidy(text)
    found = list(_DEF.finditer(text))
    bounds = [match.start() for match in found]
    blocks = paragraphs(text[: bounds[0]]) if bounds else paragraphs(text)
    for number, match in enumerate(found):
        end = bounds[number + 1] if number + 1 < len(bounds) else len(text)
        above = _COMMENT.search(text[max(0, match.start() - _FAR) : match.start()])
        about = _MARKS.sub("", above[0]).strip() if above else ""
        body = _without_next_comment(text[match.start() : end], last=number + 1 == len(bounds))
        start = match.start()
        blocks.append(
            Block(
                text=body,
                start=start,
                end=start + len(body),
                kind="code",
                name=match[1],
                about=about,
            )
        )
    return Source(id=name, title="", text=text, blocks=tuple(blocks))


def _without_next_comment(body: str, *, last: bool) -> str:
    far = max(0, len(body) - _FAR)
    below = None if last else _COMMENT.search(body[far:])
    return (body[: far + below.start()] if below else body).rstrip()
