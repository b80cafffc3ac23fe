"""BM25 by the package bm25s: what shares rare words with a query."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import NotInstalledError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOKEN = re.compile(r"\w+")
_BLOCK = 512


class Lexical:
    """An index of passages. Scores are BM25 (Lucene's variant, k1 1.5, b 0.75), 0 and above.

    :raises NotInstalledError: bm25s is not here.
    """

    def __init__(self, passages: Sequence[str]) -> None:
        if find_spec("bm25s") is None:
            mend = 'pip install "ragd-tune[mine]"'
            raise NotInstalledError("BM25 needs the package bm25s", mend=mend)
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG
        self._size = len(passages)
        self._index = bm25s.BM25()
        self._index.index([_tokens(text) for text in passages], show_progress=False)
        self._known = self._index.vocab_dict

    def search(
        self, queries: Sequence[str], k: int
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield scores and passage numbers of the best passages of each query, the best first.

        Passages that share no word with the query are left out, so there may be fewer than ``k``.
        """
        import numpy as np

        for start in range(0, len(queries), _BLOCK):
            asked = [self._words(text) for text in queries[start : start + _BLOCK]]
            some = [row for row in asked if row]
            found: Iterator[tuple[Any, Any]] = iter(())
            if some:
                numbers, scores = self._index.retrieve(
                    some, k=min(k, self._size), show_progress=False
                )
                found = zip(scores, numbers, strict=True)
            for row in asked:
                score, number = next(found) if row else (np.empty(0), np.empty(0))
                kept = score > 0
                yield score[kept].astype(np.float32), number[kept].astype(np.int64)

    def score(self, query: str) -> NDArray[np.float32]:
        """Return the score of every passage: float32 (n,)."""
        import numpy as np

        row = self._words(query)
        if not row:
            return np.zeros(self._size, np.float32)
        return np.asarray(self._index.get_scores(row), np.float32)

    def _words(self, text: str) -> list[str]:
        return [word for word in _tokens(text) if word in self._known]


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())
