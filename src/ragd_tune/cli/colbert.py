"""``ragd-tune colbert``: rerank, index and search by a ColBERT adapter."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ragd_tune.cli.output import show_json, table
from ragd_tune.errors import DataError, UsageError

if TYPE_CHECKING:
    from ragd_tune.pipeline.searching import Engine, Found

_PATH = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])
_SHOWN = 20


def _engine_options(command: _Command) -> _Command:
    """Add the options that say what ranks."""
    options = (
        click.option("--engine", type=click.Choice(["own", "ragatouille"]), default="own",
                     show_default=True, help="What ranks: our MaxSim, or RAGatouille."),
        click.option("--python", type=_PATH, help="Interpreter with RAGatouille in it."),
        click.option("--seconds", type=click.FloatRange(min=1, max=86_400),
                     default=600.0, show_default=True,
                     help="Bound of time of a call to RAGatouille."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    )  # fmt: skip
    return reduce(lambda made, option: option(made), reversed(options), command)


@click.group()
def colbert() -> None:
    """Rerank, index and search by a ColBERT adapter."""


@colbert.command()
@click.argument("adapter")
@click.argument("documents", type=_PATH)
@click.option("--query", required=True, help="What is asked.")
@_engine_options
def rerank(adapter: str, documents: Path, query: str, *, as_json: bool, **how: Any) -> None:
    """Put DOCUMENTS into the order of their scores for a query.

    DOCUMENTS is a file of lines, or of JSON lines with _id, title and text.
    """
    texts = _read(documents)
    with _engine(adapter, **how) as engine:
        _show([query], [engine.rerank(query, texts)], as_json=as_json)


@colbert.command()
@click.argument("adapter")
@click.argument("documents", type=_PATH)
@click.argument("out", type=_PATH)
@_engine_options
def index(adapter: str, documents: Path, out: Path, *, as_json: bool, **how: Any) -> None:
    """Write the token vectors of DOCUMENTS under OUT, for `colbert search`."""
    texts = _read(documents)
    with _engine(adapter, **how) as engine:
        made = engine.index(texts, out)
    if as_json:
        show_json({"index": str(made), "documents": len(texts)})
        return
    click.echo(f"{len(texts)} documents are in {made}")


@colbert.command()
@click.argument("adapter")
@click.argument("index", type=_PATH)
@click.option("--query", "queries", required=True, multiple=True, help="What is asked; repeatable.")
@click.option(
    "-k", type=click.IntRange(min=1), default=10, show_default=True, help="Documents to show."
)
@_engine_options
def search(
    adapter: str, index: Path, queries: Sequence[str], k: int, *, as_json: bool, **how: Any
) -> None:
    """Search an INDEX that `colbert index` wrote with the same engine."""
    with _engine(adapter, **how) as engine:
        _show(queries, engine.search(index, queries, k), as_json=as_json)


@contextlib.contextmanager
def _engine(adapter: str, **how: Any) -> Iterator[Engine]:
    from ragd_tune.pipeline.searching import open_engine
    from ragd_tune.registry import discover
    from ragd_tune.store import Store

    if how["engine"] == "own" and how["python"] is not None:
        raise UsageError("--python: has no effect with --engine own", mend="leave it out")
    engine = open_engine(discover(), Store(), adapter, **how)
    try:
        yield engine
    finally:
        engine.close()


def _read(path: Path) -> dict[str, str]:
    """Read documents by id; those of a file of lines are numbered from 1.

    :raises DataError: it cannot be read, holds nothing, or an id twice; with file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, text = _document(line, f"{path}:{number}") if path.suffix == ".jsonl" else (
            str(number), line
        )  # fmt: skip
        if name in found:
            raise DataError(f"{path}:{number}: the document {name!r} comes twice")
        found[name] = text
    if not found:
        raise DataError(f"{path}: holds no documents")
    return found


def _document(line: str, where: str) -> tuple[str, str]:
    try:
        raw = json.loads(line)
        title, text = raw.get("title") or "", raw["text"]
        return str(raw["_id"]), f"{title}\n{text}" if title else str(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{where}: needs _id and text", mend="write one JSON object a line"
        ) from error


def _show(queries: Sequence[str], found: Sequence[Found], *, as_json: bool) -> None:
    if as_json:
        rows = [[{"id": name, "score": score} for name, score in row] for row in found]
        pairs = zip(queries, rows, strict=True)
        show_json([{"query": query, "found": row} for query, row in pairs])
        return
    for query, row in zip(queries, found, strict=True):
        cells = [(name, f"{score:.3f}") for name, score in row[:_SHOWN]]
        table(query, ("document", "score"), cells)
