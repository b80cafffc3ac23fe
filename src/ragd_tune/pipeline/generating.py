"""From documents to a data set on disk: read, cut, ask, filter, split, write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet, read, write
from ragd_tune.data.chunk import Chunk
from ragd_tune.data.documents import Library, must_exist
from ragd_tune.data.generate import (
    FILTERS,
    RECIPES,
    FilterReport,
    Question,
    Sieve,
    assemble,
    generate,
    sides,
)
from ragd_tune.data.model import SPLITS
from ragd_tune.data.text import printable
from ragd_tune.data.write import must_be_free
from ragd_tune.errors import DataError, NotInstalledError, UsageError
from ragd_tune.pipeline.passages import library_of, passages_of
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import database_of

if TYPE_CHECKING:
    from ragd_tune.data.generate.roundtrip import Embed

Judge = Callable[[Sequence[Question]], tuple[list[Question], dict[int, str]]]
"""Questions to the same with scores, and those to drop with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What to generate, and how.

    ``index`` is the folder of ragd's Chroma store: its chunks come with their own ids.
    ``per_chunk`` is the most questions a passage gets; ``dev`` and ``test`` are shares of the
    passages; ``off`` names filters to leave out; ``depth`` is the round trip's.
    """

    documents: tuple[Path, ...] = ()
    index: Path | None = None
    out: Path | None = None
    base: str
    tokens: int | None = None
    per_chunk: int = 4
    recipes: tuple[str, ...] = RECIPES
    off: frozenset[str] = frozenset()
    depth: int = 50
    dev: float = 0.1
    test: float = 0.2
    seed: int = 0
    offline: bool | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What was made. ``notes`` say what was done otherwise than asked, and why."""

    data: DataSet
    library: Library
    passages: int
    report: FilterReport
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return what ``--json`` shows."""
        return {
            "out": str(self.data.source),
            "fingerprint": self.data.fingerprint,
            "documents": len(self.library.sources),
            "passages": self.passages,
            "questions": dict(self.counts),
            "skipped": [one.to_json() for one in self.library.skipped],
            "notes": list(self.notes),
            **self.report.to_json(),
        }


def generate_data(shop: Workshop, asked: Generation) -> Generated:
    """Make a data set of ``asked.documents`` without an LLM, write it, and return it.

    :raises DataError: no document can be read, or too little came of them.
    :raises UsageError: there is a folder already, or a name is unknown.
    """
    library, chunks, notes = read_passages(shop, asked)
    made = generate(
        chunks,
        library.sources,
        per_chunk=asked.per_chunk,
        recipes=asked.recipes,
        progress=shop.progress,
    )
    return finish(shop, asked, library, chunks, made, notes)


def read_passages(shop: Workshop, asked: Generation) -> tuple[Library, list[Chunk], list[str]]:
    """Return the documents, their passages, and notes on what was done otherwise than asked."""
    ready(asked)
    notes: list[str] = []
    library = library_of(shop, asked)
    return library, passages_of(shop, library, asked, notes), notes


def finish(
    shop: Workshop,
    asked: Generation,
    library: Library,
    chunks: Sequence[Chunk],
    made: Sequence[Question],
    notes: list[str],
    about: Mapping[str, object] | None = None,
    judge: Judge | None = None,
) -> Generated:
    """Filter and split questions, and write the data set with all that is known of its origin."""
    by_side, report = _sifted(shop, asked, chunks, made, notes, judge)
    source = ", ".join(_names(asked)) or "ragd's index"
    told = {
        **settings_of(asked),
        **(about or {}),
        "skipped": [s.to_json() for s in library.skipped],
    }
    assembled = assemble(chunks, by_side, report, source=source, about=told)
    if not assembled.data.qrels.get("train"):
        raise DataError(
            f"{source}: no question for training came of {len(chunks)} passages",
            mend="give more documents, or switch filters off (--without); see the report",
        )
    out = asked.out or shop.store.datasets / _name(asked)
    out.parent.mkdir(parents=True, exist_ok=True)
    write(assembled.data, out, force=asked.force, tables=assembled.tables)
    return Generated(
        data=read(out),
        library=library,
        passages=len(chunks),
        report=report,
        notes=(*notes, *assembled.notes),
        counts={split: len(rows) for split, rows in assembled.data.qrels.items()},
    )


def _sifted(
    shop: Workshop,
    asked: Generation,
    chunks: Sequence[Chunk],
    made: Sequence[Question],
    notes: list[str],
    judge: Judge | None,
) -> tuple[dict[str, list[Question]], FilterReport]:
    """Return the questions that no filter drops, by the side of their documents."""
    known = {one.id: one for one in chunks}
    on = sides(chunks, dev=asked.dev, test=asked.test, seed=asked.seed)
    sieve = Sieve(known, off=asked.off)

    def by_side(questions: Sequence[Question]) -> dict[str, list[Question]]:
        found: dict[str, list[Question]] = {side: [] for side in SPLITS}
        for one in questions:
            found[on[known[one.chunk].document]].append(one)
        return found

    found = by_side(sieve.run(made))
    found["train"] = _round_trip(shop, asked, sieve, found["train"], chunks, notes)
    if judge is not None and "judge" not in asked.off:
        scored, why = judge([one for rows in found.values() for one in rows])
        found = by_side(sieve.drop("judge", scored, set(why), why))
    return found, sieve.report([one for rows in found.values() for one in rows])


def ready(asked: Generation) -> None:
    """Refuse what can be told before anything is read: names, the output, and missing documents.

    :raises UsageError: a filter or recipe is unknown, or there is something at the output.
    :raises DataError: there is no such path, or ragd has no index at the one that is named for it.
    """
    for kind, names, known in (
        ("filter", asked.off, FILTERS),
        ("recipe", asked.recipes, RECIPES),
    ):
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise UsageError(
                f"there is no {kind} {unknown[0]!r}", mend=f"one of {', '.join(known)}"
            )
    if asked.out is not None:
        must_be_free(asked.out, asked.force)
    for path in asked.documents:
        must_exist(path)
    if asked.index is not None:
        database_of(asked.index)


def _name(asked: Generation) -> str:
    return "-".join(_names(asked)).replace(" ", "-")[:80] or "ragd-index"


def _names(asked: Generation) -> list[str]:
    """Return what the documents are called, sorted; ``.`` is called as its folder is."""
    return sorted(printable(path.resolve().name) for path in asked.documents)


def settings_of(asked: Generation) -> dict[str, object]:
    """Return what ``dataset.json`` says of how the set was made."""
    return {
        "generator": {
            "name": "headings",
            "recipes": list(asked.recipes),
            "per_chunk": asked.per_chunk,
            "tokens": asked.tokens,
            "base": asked.base,
        },
        "split": {"by": "document", "dev": asked.dev, "test": asked.test, "seed": asked.seed},
    }


def _round_trip(
    shop: Workshop,
    asked: Generation,
    sieve: Sieve,
    questions: list[Question],
    chunks: Sequence[Chunk],
    notes: list[str],
) -> list[Question]:
    """Drop training questions that do not lead back; those of dev and test are never touched."""
    if "round-trip" in asked.off:
        return questions
    from ragd_tune.data.generate.roundtrip import unfit

    try:
        with embedding(shop, asked.base, offline=asked.offline) as embed:
            why = unfit(questions, chunks, embed, depth=asked.depth, progress=shop.progress)
    except NotInstalledError as error:
        notes.append(f"no round trip: {error.message.splitlines()[0]}")
        return questions
    return sieve.drop("round-trip", questions, set(why), why)


@contextmanager
def embedding(shop: Workshop, base: str, *, offline: bool | None = None) -> Iterator[Embed]:
    """Yield a function that embeds texts by ``base``; the model is in memory inside the block.

    On a cluster it is in the memory of the workers, while they embed.

    :raises NotInstalledError: the base, or a backend that loads it, is not here.
    """
    from ragd_tune.pipeline.mining import embedder_of, embedding_by

    with embedder_of(shop, base, offline=offline) as embedder:
        yield embedding_by(shop, embedder, offline=offline)
