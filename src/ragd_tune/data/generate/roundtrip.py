"""The round trip: a question must lead the base retriever back to its passage, and not anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ragd_tune.data.blocks import embedded
from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.model import Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embed = Callable[[Sequence[str], str], NDArray[np.float32]]
    """Texts and a role (``query``, ``document``) to unit vectors, float32 (n, dimension)."""

DEPTH = 50
"""The passage must be among so many. Measured on nothing yet: wide, since it only drops what even
a generous search does not bring back."""
FLAT = 0.02
"""A question whose best and tenth passage differ by less than this share of the best score finds
everything, and so nothing."""
_FEW = 200
"""Passages below which neither says much: every question finds its passage among 50 of 100."""


def unfit(
    questions: Sequence[Question],
    chunks: Sequence[Chunk],
    embed: Embed,
    *,
    depth: int = DEPTH,
    progress: Callable[[str, float], None] = lambda text, done: None,
) -> dict[int, str]:
    """Return the questions to drop, each with the reason.

    ``depth`` shrinks with a small corpus to a quarter of it.
    """
    import numpy as np

    from ragd_tune.evaluate.search import TopK

    if not questions:
        return {}
    asked = np.concatenate([*embedded(embed, [one.text for one in questions], "query")])
    depth = max(1, min(depth, len(chunks) // 4)) if len(chunks) < _FEW else depth
    search, seen = TopK(asked, depth), 0
    for made in embedded(embed, [one.passage for one in chunks], "document"):
        progress("round trip", seen / len(chunks))
        search.add(made)
        seen += len(made)
    scores, found = search.result()
    places = {chunk.id: number for number, chunk in enumerate(chunks)}
    dropped: dict[int, str] = {}
    for number, question in enumerate(questions):
        if places[question.chunk] not in found[number]:
            dropped[number] = f"its passage is not among the first {depth}"
        elif depth >= 10 and _flat(scores[number]):
            dropped[number] = "it finds everything: the first ten passages score alike"
    return dropped


def _flat(scores: NDArray[np.float32]) -> bool:
    best, tenth = float(scores[0]), float(scores[9])
    return best <= 0 or (best - tenth) / best < FLAT
