"""New thresholds for a new model: ragd's scores shift with the cosines of a tuned model.

ragd drops what scores below ``min_score`` (search) and ``min_relevance`` (chat). A threshold that
stays hides what the adapter finds, and one that is moved along with what the *base* had found hides
just the answers that were gained. So the new one is found by what the adapter finds: it shows 95%
of the right answers among its first results, on questions that no training saw, and never a smaller
share or a smaller number of them than the old threshold showed for the old model.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ragd_tune.ragd.results import Results, keywords, sample, search

if TYPE_CHECKING:
    from ragd_tune.data import DataSet
    from ragd_tune.ragd.facts import HostConfig
    from ragd_tune.serve import Embedder

KEEP = 0.95
LEAST = 20
"""Right answers that a threshold must be found on; with fewer it stays as it was."""
DIGITS = 4
SPLITS = ("dev", "test")
"""Where questions are taken from: those of the test, which the proof is about, only if need be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a threshold lets a search show: right answers ``shown`` of ``found``, and the rest.

    ``found`` are among the first results before any threshold; ``others`` counts other results a
    question, those that nobody judged among them.
    """

    found: int
    shown: int
    others: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One threshold before and after, and what it lets through of the old model and the new."""

    key: str
    before: float
    after: float
    old: Seen
    new: Seen

    @property
    def sentence(self) -> str:
        """Say what changes for whoever searches."""
        return (
            f"{self.key}: {self.before} → {self.after}, which shows {self.new.shown} of the "
            f"{self.new.found} right answers that the adapter finds (before: {self.old.shown} of "
            f"{self.old.found}), and {self.new.others:.1f} other results a question (before: "
            f"{self.old.others:.1f})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The thresholds, and what they were found on: the data set's fingerprint, split, and counts.

    ``pairs`` counts questions' right answers, ``limit`` the results of one search.
    """

    data: str
    split: str
    questions: int
    passages: int
    pairs: int
    limit: int
    thresholds: tuple[Threshold, ...]

    def to_json(self) -> dict[str, object]:
        """Return what the records keep."""
        told = {one.key: asdict(one) for one in self.thresholds}
        for one in told.values():
            del one["key"]
        return {"host": "ragd", "keep": KEEP, **asdict(self), "thresholds": told}


def recalibrate(
    data: DataSet, facts: HostConfig, before: Embedder, after: Embedder
) -> Calibration | None:
    """Return thresholds for ``after`` in the place of those that ``facts`` has for ``before``.

    The dev split is used, or ``test`` where there is none; None if neither has any.
    """
    split = next((name for name in SPLITS if data.qrels.get(name)), None)
    if split is None:
        return None
    drawn = sample(data, split)
    if not drawn.questions:
        return None
    words = keywords(data, drawn, facts)
    old, new = (search(data, drawn, words, one, facts) for one in (before, after))
    return Calibration(
        data=data.fingerprint,
        split=split,
        questions=len(drawn.questions),
        passages=len(drawn.passages),
        pairs=drawn.answers,
        limit=facts.limit,
        thresholds=(
            moved("min_score", facts.min_score, old, new),
            moved("min_relevance", facts.min_relevance, old, new),
        ),
    )


def moved(key: str, threshold: float, old: Results, new: Results) -> Threshold:
    """Return the largest threshold that shows enough of the right answers that ``new`` finds.

    Enough is 95% of them, the share that ``threshold`` shows of ``old``'s, and their number,
    whichever is most. A threshold that hides nothing (0) stays, and so does any where ``new`` finds
    fewer than 20.
    """
    import numpy as np

    shown, others = old.above(threshold)
    after, found = threshold, np.sort(new.right)
    if threshold > 0 and len(found) >= LEAST:
        share = max(KEEP, shown / max(1, len(old.right)))
        enough = min(len(found), max(math.ceil(share * len(found) - 1e-9), shown))
        lowest = float(found[len(found) - enough])
        after = math.floor(lowest * 10**DIGITS) / 10**DIGITS
    now_shown, now_others = new.above(after)
    return Threshold(
        key=key,
        before=threshold,
        after=after,
        old=Seen(found=len(old.right), shown=shown, others=others),
        new=Seen(found=len(found), shown=now_shown, others=now_others),
    )
