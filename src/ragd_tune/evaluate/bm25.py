"""BM25 in NumPy: a first stage that needs no model, and a source of hard negatives.

The formula and its constants are those of SQLite's FTS5, by which ragd ranks keywords: k1 1.2, b
0.75, and an inverse document frequency of log((N - n + 0.5) / (n + 0.5)), at least 1e-6 (Robertson
and Zaragoza 2009, "The probabilistic relevance framework"). Words are runs of letters and digits in
lower case; ragd also cuts their endings off (Porter), which is not done here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return the words of ``text``."""
    return _WORD.findall(text.casefold())


class Bm25:
    """An index of passages, in memory: 12 bytes for each different word of each passage."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(words(text)) for text in texts]
        self._size = len(counts)
        self._numbers: dict[str, int] = {}
        lengths = np.array([sum(count.values()) for count in counts], np.float64)
        terms, documents, found = self._postings(counts)
        order = np.argsort(terms, kind="stable")
        terms, documents, found = terms[order], documents[order], found[order]
        frequency = np.bincount(terms, minlength=len(self._numbers))
        self._starts = np.concatenate([[0], np.cumsum(frequency)]).astype(np.int64)
        self._documents = documents
        self._weights = self._weigh(terms, documents, found, frequency, lengths)

    def _postings(
        self, counts: Sequence[Counter[str]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the number of the word, of the passage, and how often it stands there."""
        numbers = self._numbers
        terms = [numbers.setdefault(word, len(numbers)) for one in counts for word in one]
        documents = np.repeat(np.arange(len(counts)), [len(one) for one in counts])
        found = [often for one in counts for often in one.values()]
        return np.array(terms, np.int64), documents, np.array(found, np.float64)

    def _weigh(
        self,
        terms: NDArray[np.int64],
        documents: NDArray[np.int64],
        found: NDArray[np.float64],
        frequency: NDArray[np.int64],
        lengths: NDArray[np.float64],
    ) -> NDArray[np.float32]:
        """Return what each posting adds to the score of its passage."""
        rarity = np.maximum(np.log((self._size - frequency + 0.5) / (frequency + 0.5)), 1e-6)
        mean = lengths.mean() if self._size else 1.0
        norm = K1 * (1 - B + B * lengths / max(mean, 1e-9))
        raised = found * (K1 + 1) / (found + norm[documents])
        made: NDArray[np.float32] = (rarity[terms] * raised).astype(np.float32)
        return made

    def scores(self, query: str) -> NDArray[np.float32]:
        """Return a score for each passage, float32 (n,); 0 where it has no word of the query."""
        total = np.zeros(self._size, np.float32)
        for word in dict.fromkeys(words(query)):
            number = self._numbers.get(word)
            if number is not None:
                part = slice(self._starts[number], self._starts[number + 1])
                total[self._documents[part]] += self._weights[part]
        return total

    def top(
        self, query: str, k: int, *, keep: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and indices of at most ``k`` passages with a word of the query.

        The best first; a tie goes to the lower index. Passages where ``keep`` (n,) is false are
        never found.
        """
        scores = self.scores(query)
        if keep is not None:
            scores[~keep] = 0.0
        found = np.flatnonzero(scores > 0)
        if len(found) > k:  # every passage as good as the k-th best, so that ties fall by index
            least = np.partition(scores[found], len(found) - k)[len(found) - k]
            found = found[scores[found] >= least]
        order = found[np.argsort(-scores[found], kind="stable")][:k]
        return scores[order], order.astype(np.int64)
