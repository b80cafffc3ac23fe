"""The demo's pairs as a data set: built, parted by module, kept in the store."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from ragd_tune.data import DataSet, Document, Query, read, write
from ragd_tune.demo.library import Pair, apart, distinct, find_library, modules, read_pairs
from ragd_tune.errors import DataError, NotInstalledError

FEWEST = 1000
"""Pairs, at the least: a library with fewer lacks most of its sources."""


def name() -> str:
    """Return the data set's name; it holds the version, since every version has its own library."""
    return f"python-library-{platform.python_version()}"


def build(root: Path | None = None) -> DataSet:
    """Return the data set of this interpreter's library, the same at every call.

    Documents carry their module as ``document`` and their family of modules as ``group``; queries
    carry the family too, so that a proof takes each family as one cluster.

    :param root: folder of the library; that of this interpreter unless given.
    :raises NotInstalledError: the library's sources are not there, or hardly any of them.
    """
    root = find_library() if root is None else root
    pairs = apart(distinct(read_pairs(modules(root))))
    if len(pairs) < FEWEST:
        raise NotInstalledError(
            f"{root}: only {len(pairs)} documented functions and classes are there",
            mend="run the demo with a Python whose standard library is complete",
        )
    return data_set(pairs)


def data_set(pairs: Sequence[Pair]) -> DataSet:
    """Return ``pairs`` as a data set, each on the side that its module belongs to."""
    qrels: dict[str, dict[str, dict[str, float]]] = {"train": {}, "dev": {}, "test": {}}
    for pair in pairs:
        qrels[pair.side][query_id(pair)] = {pair.id: 1.0}
    return DataSet.of(
        corpus={
            pair.id: Document(id=pair.id, text=pair.source, document=pair.module, group=pair.family)
            for pair in pairs
        },
        queries={
            query_id(pair): Query(id=query_id(pair), text=pair.query, group=pair.family)
            for pair in pairs
        },
        qrels=qrels,
        source=name(),
        about={
            "source": "the Python standard library: docstrings and the code that they describe",
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "licence": "PSF-2.0",
            "split": "by module, by a hash of the package's name",
        },
    )


def query_id(pair: Pair) -> str:
    """Return a query's id; not the document's own, which some tools would take for a duplicate."""
    return f"q/{pair.id}"


def held_out(data: DataSet, split: str = "test") -> DataSet:
    """Return the documents, queries and judgements of one split alone.

    Searched is then only what training never saw: quicker to embed, and every wrong answer is a
    held-out one too.
    """
    judged = data.qrels[split]
    documents = {did for found in judged.values() for did in found}
    return DataSet.of(
        corpus={did: doc for did, doc in data.corpus.items() if did in documents},
        queries={qid: data.queries[qid] for qid in judged},
        qrels={split: judged},
        source=data.source,
        about=data.about,
    )


def keep(data: DataSet, folder: Path) -> DataSet:
    """Write ``data`` to ``folder`` unless it is there already; return what is there.

    :raises UsageError: ``folder`` holds files of somebody else's.
    """
    try:
        there = read(folder) if folder.is_dir() else None
    except DataError:
        there = None  # half of an older one, or changed by hand: written anew
    if there is not None and there.fingerprint == data.fingerprint:
        return there
    return read(write(data, folder, force=True))
