"""Which side of the split each document is on: whole documents, near-duplicates together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.groups import Unions
from ragd_tune.data.near import near_duplicates


def sides(chunks: Sequence[Chunk], *, dev: float, test: float, seed: int) -> dict[str, str]:
    """Return ``train``, ``dev`` or ``test`` for each document.

    ``dev`` and ``test`` are shares of the passages; they are reached as nearly as whole documents
    allow, and never exceeded by more than one bundle of a small set. A bundle is what hangs
    together by near-duplicate passages. The result depends on the documents and ``seed``, not on
    their order.
    """
    bundles = _bundles(chunks)
    sizes: defaultdict[str, int] = defaultdict(int)
    for chunk in chunks:
        sizes[bundles[chunk.document]] += 1
    order = sorted(sizes, key=lambda name: _shuffled(seed, name))
    named: dict[str, str] = {}
    for side, share in (("test", test), ("dev", dev)):
        _deal(order, sizes, named, side, share * len(chunks))
    return {document: named.get(name, "train") for document, name in bundles.items()}


def _deal(
    order: Sequence[str], sizes: Mapping[str, int], named: dict[str, str], side: str, room: float
) -> None:
    """Give ``side`` bundles in order while there is room; one at least, if two are left over."""
    left = [name for name in order if name not in named]
    taken = 0
    for name in left:
        if taken + sizes[name] <= room:
            named[name] = side
            taken += sizes[name]
    if room > 0 and not taken and len(left) > 2:
        named[min(left, key=lambda name: (sizes[name], order.index(name)))] = side


def _bundles(chunks: Sequence[Chunk]) -> dict[str, str]:
    unions = Unions()
    for one, two, _ in near_duplicates([chunk.text for chunk in chunks]):
        unions.join(chunks[one].document, chunks[two].document)
    least: dict[object, str] = {}
    for chunk in chunks:
        root = unions.find(chunk.document)
        least[root] = min(chunk.document, least.get(root, chunk.document))
    return {chunk.document: least[unions.find(chunk.document)] for chunk in chunks}


def _shuffled(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
