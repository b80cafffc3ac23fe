"""Pairs of a docstring and the code that it describes, from Python's own standard library.

The query is the first paragraph of a docstring, the document the source of its function or class
without any docstring. Sources are parsed, never imported.
"""

from __future__ import annotations

import inspect
import logging
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.demo.cut import Piece, decode, pieces
from ragd_tune.demo.split import Side, family, side
from ragd_tune.errors import NotInstalledError

LONGEST = 2000
"""Characters of a document: more than the 256 tokens that the model reads of it."""
LONGEST_QUERY = 400
SHORTEST = 40
"""Characters of a document: below, there is hardly anything but the name."""
WORDS = 4
"""Words of a query, at the least: "Close the file." could be anywhere."""

_LEFT_OUT = frozenset(
    {
        # tables, tests and jokes
        *("encodings", "pydoc_data", "test", "__hello__", "__phello__", "antigravity", "this"),
        # what distributions leave out or package apart, so that less depends on them
        *("idlelib", "lib2to3", "turtledemo"),
    }
)
_TESTS = frozenset({"test", "tests", "idle_test"})
_ORDER: dict[Side, int] = {"test": 0, "dev": 1, "train": 2}

# ">>> f(1)" and "f(a, b) -> c" say how something is called, and not what it does
_NOTATION = re.compile(r">>>.*|[\w.]+\(.*\)(\s*->\s*\S+)?\.?", re.DOTALL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A query, the source that answers it, and where that stands."""

    module: str
    name: str
    query: str
    source: str

    @property
    def id(self) -> str:
        """``asyncio.queues:Queue.get``."""
        return f"{self.module}:{self.name}"

    @property
    def family(self) -> str:
        """The family of modules that is on one side of the split."""
        return family(self.module)

    @property
    def side(self) -> Side:
        """The side of the split."""
        return side(self.family)


def find_library() -> Path:
    """Return the folder of this interpreter's standard library.

    :raises NotInstalledError: its sources are not there (zipped, compiled or stripped).
    """
    root = Path(sysconfig.get_path("stdlib"))
    if not (root / "os.py").is_file():
        raise NotInstalledError(
            f"{root}: the sources of Python's standard library are not there",
            mend="run the demo with a Python that has its library as .py files, such as "
            "python.org's installer, conda's or a package manager's (not an embeddable zip)",
        )
    return root


def modules(root: Path, names: Collection[str] | None = None) -> list[tuple[str, Path]]:
    """Return the modules under ``root`` as (dotted name, file), sorted by name.

    :param names: the top-level modules to take; those of the standard library unless given, so
        that site-packages and what a distribution adds stay out.
    """
    wanted = set(sys.stdlib_module_names if names is None else names) - _LEFT_OUT
    found = []
    for top in sorted(wanted):
        # What is generated for one machine has its platform in the name.
        single = root / f"{top}.py"
        if single.is_file() and not top.startswith("_sysconfigdata"):
            found.append((top, single))
        for path in (root / top).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            if not _TESTS & set(parts):
                package = parts[:-1] if parts[-1] == "__init__" else parts
                found.append((".".join(package), path))
    return sorted(found, key=lambda module: module[0])


def read_pairs(sources: Iterable[tuple[str, Path]]) -> Iterator[Pair]:
    """Yield the usable pairs of some modules; a file that is not Python is logged and left out."""
    for module, path in sources:
        names: Counter[str] = Counter()
        try:
            found = list(pieces(decode(path.read_bytes())))
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            _log.info("%s: left out: %s", path, error)
            continue
        for piece in found:
            names[piece.name] += 1
            twice = f"#{names[piece.name]}" if names[piece.name] > 1 else ""
            query = first_paragraph(piece.docstring)
            source = shorten(piece.source, LONGEST)
            if usable(piece, query, source):
                name = f"{piece.name}{twice}"
                yield Pair(module=module, name=name, query=query, source=source)


def first_paragraph(docstring: str) -> str:
    """Return the first paragraph on one line, cut between words where it is very long."""
    paragraphs = (part.strip() for part in inspect.cleandoc(docstring).split("\n\n"))
    words = next((part for part in paragraphs if part), "").split()
    text = " ".join(words)
    return text if len(text) <= LONGEST_QUERY else text[:LONGEST_QUERY].rpartition(" ")[0] + " …"


def shorten(source: str, limit: int) -> str:
    """Return ``source`` without blank space around it, and its whole lines up to ``limit``."""
    source = source.strip()
    if len(source) <= limit:
        return source
    head = source[: limit + 1].rpartition("\n")[0] or source[:limit]
    return head.rstrip()


def usable(piece: Piece, query: str, source: str) -> bool:
    """Say whether a pair is worth asking: enough on both sides, and no answer in the question."""
    if not piece.does_something or len(source) < SHORTEST or _NOTATION.fullmatch(query):
        return False
    words = [word for word in query.split() if any(map(str.isalpha, word))]
    return len(words) >= WORDS and _plain(query) not in _plain(source)


def _plain(text: str) -> str:
    """Return ``text`` without case, blanks and the marks that begin a comment's lines."""
    return "".join(text.replace("#", " ").casefold().split())


def distinct(pairs: Iterable[Pair]) -> list[Pair]:
    """Drop queries that stand more than once, and all but the first of equal sources.

    A question with two right answers of which one counts would measure chance.
    """
    from ragd_tune.data.text import bare, fold

    pairs = list(pairs)
    asked = Counter(bare(pair.query) for pair in pairs)
    seen: set[str] = set()
    kept = []
    for pair in pairs:
        source = fold(pair.source)
        if asked[bare(pair.query)] == 1 and source not in seen:
            kept.append(pair)
        seen.add(source)
    return kept


def apart(pairs: Sequence[Pair]) -> list[Pair]:
    """Drop what is nearly the same on two sides: from training for dev, from both for test."""
    banned = _crossing(pairs, [pair.query for pair in pairs])
    banned |= _crossing(pairs, [pair.source for pair in pairs])
    return [pair for number, pair in enumerate(pairs) if number not in banned]


def _crossing(pairs: Sequence[Pair], texts: Sequence[str]) -> set[int]:
    """Return the pairs whose text hangs together with one of a side that comes first."""
    from ragd_tune.data.groups import components
    from ragd_tune.data.near import near_duplicates

    ties: dict[str, list[tuple[int, int]]] = {}
    for one, two, _ in near_duplicates(texts):
        ties.setdefault(str(one), []).append((one, two))
        ties.setdefault(str(two), []).append((one, two))
    best: dict[str, int] = {}
    named = components(ties)
    for number, name in named.items():
        rank = _ORDER[pairs[int(number)].side]
        best[name] = min(rank, best.get(name, rank))
    return {int(n) for n, name in named.items() if _ORDER[pairs[int(n)].side] > best[name]}
