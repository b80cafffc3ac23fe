"""A sample of the standard library as another domain, to see what an adapter forgets."""

from __future__ import annotations

import hashlib
from itertools import zip_longest

from ragd_tune.data import DataSet
from ragd_tune.demo import dataset
from ragd_tune.errors import DataError
from ragd_tune.store import Store

QUERIES = 400
LONGEST = 600
"""Characters of a document, at the most: with 400 short ones, both models take seconds."""


def name() -> str:
    """Return the sample's name: of the library, and of how it is drawn."""
    return f"{dataset.name()}-sample-1"


def elsewhere(store: Store) -> DataSet:
    """Return the sample of this interpreter's library; it is made once a store, in some seconds.

    :raises NotInstalledError: the library's sources are not there.
    """
    from ragd_tune.data import read, write

    folder = store.datasets / name()
    try:
        return read(folder)
    except DataError:
        return read(write(sample(dataset.build()), folder, force=True))


def sample(data: DataSet, *, queries: int = QUERIES, longest: int = LONGEST) -> DataSet:
    """Return some queries of ``data`` with their documents, all of them as the split ``test``.

    A proof counts families of modules, so they are taken in turn: each gives one query before any
    gives two. Hashes decide, so that the sample is the same everywhere.
    """
    families: dict[str, list[str]] = {}
    answers = {qid: did for judged in data.qrels.values() for qid, (did, *_) in judged.items()}
    for qid in sorted(answers, key=_mixed):
        if len(data.corpus[answers[qid]].text) <= longest:
            families.setdefault(data.queries[qid].group, []).append(qid)
    turns = zip_longest(*(families[one] for one in sorted(families, key=_mixed)))
    taken = [qid for turn in turns for qid in turn if qid is not None][:queries]
    return DataSet.of(
        corpus={answers[qid]: data.corpus[answers[qid]] for qid in taken},
        queries={qid: data.queries[qid] for qid in taken},
        qrels={"test": {qid: {answers[qid]: 1.0} for qid in taken}},
        source=name(),
        about={**data.about, "split": f"{len(taken)} queries, a family of modules in turn"},
    )


def _mixed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
