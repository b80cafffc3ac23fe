"""HTML: what a reader of the page would read, by headings; needs the package selectolax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragd_tune.data.documents.model import Block, Link, Source, UnreadableError, tidy

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_DROPPED = (
    *("script", "style", "template", "noscript", "svg", "nav", "header", "footer", "aside"),
    *("form", "button", "iframe", "[hidden]", "[aria-hidden=true]", "a.headerlink"),
)
_LEVELS = {f"h{level}": level for level in range(1, 7)}
_TEXTS = frozenset({"p", "li", "pre", "table", "dt", "dd", "blockquote", "figcaption", "caption"})


def read_html(name: str, text: str) -> Source:
    """Return the page ``text``, without scripts, navigation, forms and what is hidden."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    for node in tree.css(",".join(_DROPPED)):
        node.decompose()
    root = tree.css_first("main") or tree.css_first("article") or tree.body
    if root is None:
        raise UnreadableError("has no body")
    parts: list[str] = []
    blocks = tuple(_blocks(root, parts))
    title = tree.css_first("title")
    return Source(
        id=name,
        title=_words(title) if title else next((b.headings[0] for b in blocks if b.headings), ""),
        text="\n\n".join(parts),
        blocks=blocks,
        links=tuple(_links(tree)),
    )


def _blocks(root: LexborNode, parts: list[str]) -> Iterator[Block]:
    path: list[tuple[int, str]] = []
    at = 0
    for node in _leaves(root):
        tag = node.tag or ""
        kind = "code" if tag == "pre" else "text"
        body = tidy(node.text(deep=True)).strip("\n") if tag == "pre" else _words(node)
        if not body:
            continue
        if tag in _LEVELS:
            path = [*(one for one in path if one[0] < _LEVELS[tag]), (_LEVELS[tag], body)]
        else:
            yield Block(
                text=body,
                start=at,
                end=at + len(body),
                headings=tuple(one for _, one in path),
                kind="code" if kind == "code" else "text",
            )
        parts.append(body)
        at += len(body) + 2


def _leaves(root: LexborNode) -> Iterator[LexborNode]:
    """Yield headings and texts in their order, the outermost ones."""
    pending = [root]
    while pending:
        node = pending.pop()
        tag = node.tag
        if tag in _LEVELS or tag in _TEXTS or tag == "-text":
            yield node
        else:
            pending += reversed(list(node.iter(include_text=True)))


def _words(node: LexborNode) -> str:
    return " ".join(tidy(node.text(deep=True, separator="")).split())


def _links(tree: LexborHTMLParser) -> Iterator[Link]:
    for node in tree.css("a[href]"):
        target, text = node.attributes.get("href"), _words(node)
        if target and 2 <= len(text) <= 120:
            yield Link(text=text, target=target)
