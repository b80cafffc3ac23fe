"""The gain that a test set is likely to show: how much results vary decides, so that is measured.

A paired difference of nDCG@10 is taken as the sum of what a cluster's queries share and of what is
a query's own, with variance s² for a query and correlation r within a cluster. For clusters of n_c
queries the standard error of the mean over all N queries is (Kish 1965, as a design effect)

    s · √(Σ n_c (1 + (n_c - 1) r)) / N,

and a gain is detected at the 5% level, two-sided, with 80% power from 2.80 standard errors on
(1.96 + 0.84).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

Z = 1.959964 + 0.841621
"""Normal quantiles of 97.5% and 80%."""

SIZES = (100, 300, 1000)
"""Numbers of test queries that are told beside the set's own."""

SPREAD, CORRELATION = 0.32, 0.25
"""Assumed where no proof on this very set is known: the larger of those that were measured so far,
all-MiniLM-L6-v2 fine-tuned on two sets: .32 and .25 (544 questions about the 200 documents of an
index of ragd), .24 and .00 (150 questions of MedQuAD). So it warns rather early than late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How much a query's paired difference varies, and how much queries of a cluster share.

    ``source`` names the adapter whose proof measured it; empty where it is assumed.
    """

    deviation: float
    correlation: float
    source: str = ""

    @property
    def told(self) -> str:
        """The numbers in words, and where they come from."""
        where = f"measured by the proof of {self.source}" if self.source else "assumed"
        return f"±{self.deviation:.2f} a query, {self.correlation:.2f} shared: {where}"


ASSUMED = Spread(deviation=SPREAD, correlation=CORRELATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Gains of nDCG@10 that show in 4 of 5 tries.

    ``own`` is of this test split as it is; ``by_size`` of as many queries as it says, in clusters
    like this split's own.
    """

    own: float
    by_size: Mapping[int, float]
    spread: Spread

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return {
            **asdict(self),
            "by_size": {str(size): gain for size, gain in self.by_size.items()},
        }


def power(clusters: Iterable[str], spread: Spread = ASSUMED) -> Power | None:
    """Return what a test split detects; ``clusters`` names the cluster of each query.

    None where there is no query.
    """
    sizes = list(Counter(clusters).values())
    if not sizes:
        return None
    own, total = detectable(sizes, spread), sum(sizes)
    # The same clusters, more or fewer of them: the error falls with the square root.
    return Power(
        own=round(own, 3),
        by_size={size: round(own * math.sqrt(total / size), 3) for size in SIZES},
        spread=spread,
    )


def detectable(sizes: Sequence[int], spread: Spread) -> float:
    """Return the gain that is detected with 80% power in clusters of ``sizes`` queries."""
    inflated = sum(size * (1 + (size - 1) * spread.correlation) for size in sizes)
    return Z * spread.deviation * math.sqrt(inflated) / sum(sizes)


def measured(differences: Mapping[str, float], clusters: Mapping[str, str], source: str) -> Spread:
    """Return the spread of a proof's differences, by query id.

    The correlation is that of an analysis of variance with unequal groups (Donner 1986), kept
    within 0 and 1; without a cluster of two queries there is none, and none is assumed to be.

    :raises ValueError: fewer than two queries.
    """
    groups: dict[str, list[float]] = {}
    for query, value in differences.items():
        groups.setdefault(clusters[query], []).append(value)
    values = list(differences.values())
    count, parts = len(values), len(groups)
    if count < 2:
        raise ValueError("one difference has no spread")
    mean = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    if parts in {1, count} or deviation == 0:
        return Spread(deviation=deviation, correlation=0.0, source=source)
    means = {name: math.fsum(part) / len(part) for name, part in groups.items()}
    between = math.fsum(len(part) * (means[n] - mean) ** 2 for n, part in groups.items())
    within = math.fsum((v - means[name]) ** 2 for name, part in groups.items() for v in part)
    between, within = between / (parts - 1), within / (count - parts)
    usual = (count - sum(len(part) ** 2 for part in groups.values()) / count) / (parts - 1)
    shared = (between - within) / (between + (usual - 1) * within)
    return Spread(deviation=deviation, correlation=min(max(shared, 0.0), 1.0), source=source)
