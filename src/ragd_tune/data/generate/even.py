"""Questions to judge by, spread over the documents: none may weigh so much that nothing is proven.

A proof draws whole groups of questions (``DataSet.clusters``), and unequal groups count for less:
(Σ n)² / Σ n² of them (:func:`~ragd_tune.evaluate.significance.effective_clusters`). One long
document with a thousand generated questions can bring a hundred groups below what a proof needs.
Generated questions cost nothing, so of the largest groups only some are kept.

No model's result is looked at, nor any text but for a hash. A rule that sees nothing but the sizes
of groups, decided before anything is trained, can favour neither of two models; one that saw
results could drop just what speaks against the adapter.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ragd_tune.data.model import DataSet
from ragd_tune.data.text import bare

JUDGING = ("dev", "test")
SHARE = 0.8
"""Of the groups, as how many equal ones they shall weigh: all would leave as many questions of each
as the smallest has."""
FEW = 20
"""Questions of a group from which on leaving more out makes a proof blunter, not sharper: their own
variance decides then. Of four generated sets (10 to 63 groups) the least gain that can be shown
(``data.power.detectable``) was shown with 7 to 20 of each if queries share a quarter of the
variance, and with more if they share less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evened:
    """Of the ``questions`` of ``split``, ``left_out`` are not in the set.

    No group has more than ``most``.
    """

    split: str
    questions: int
    left_out: int
    most: int

    @property
    def told(self) -> str:
        """What happened, for the user."""
        return (
            f"{self.left_out:,} of {self.questions:,} {self.split} questions were left out so that"
            f" no document weighs too much in a proof (at most {self.most:,} stay for each)"
        )

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy without the split's name."""
        told = asdict(self)
        del told["split"]
        return told


def even(data: DataSet) -> tuple[DataSet, tuple[Evened, ...]]:
    """Return ``data`` with dev and test questions spread evenly enough, and what was left out.

    Which questions of a group stay is decided by a hash of their text: the same ones on every
    machine, whatever the order. Training questions are not touched.
    """
    gone: set[str] = set()
    done: list[Evened] = []
    for split in JUDGING:
        clusters = data.clusters(split)
        most = room([*Counter(clusters.values()).values()])
        if extra := _extra(data, clusters, most):
            gone |= extra
            done.append(
                Evened(split=split, questions=len(clusters), left_out=len(extra), most=most)
            )
    return (data.without(gone) if gone else data), tuple(done)


def room(sizes: Sequence[int]) -> int:
    """Return the most questions that a group may keep, at most what the largest of ``sizes`` has.

    It is the largest number with which the groups weigh as much as twice those that a proof needs,
    or as :data:`SHARE` of all groups if that is fewer; but :data:`FEW` stay where with these, too,
    a proof has what it needs, or where there are too few groups for any. The smaller the number,
    the more the groups weigh: with 1, as many as there are. So there always is one.
    """
    from ragd_tune.evaluate.significance import ENOUGH

    wanted = min(2 * ENOUGH, SHARE * len(sizes))
    needed = min(ENOUGH, wanted) if len(sizes) >= ENOUGH else 0.0
    return max(_most(sizes, wanted), min(FEW, _most(sizes, needed)))


def _most(sizes: Sequence[int], wanted: float) -> int:
    """Return the most questions of a group with which all weigh as ``wanted`` equal ones."""
    from ragd_tune.evaluate.significance import effective_clusters

    def uneven(most: int) -> bool:
        return effective_clusters([min(size, most) for size in sizes]) < wanted

    return bisect_left(range(1, max(sizes, default=0) + 1), True, key=uneven)


def _extra(data: DataSet, clusters: dict[str, str], most: int) -> set[str]:
    """Return the questions of each cluster beyond the first ``most`` by their hash."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for qid, name in clusters.items():
        groups[name].append(qid)
    hashed = {qid: _hash(data.queries[qid].text) for qid in clusters}
    return {
        qid for members in groups.values() for qid in sorted(members, key=hashed.__getitem__)[most:]
    }


def _hash(text: str) -> bytes:
    return hashlib.sha256(bare(text).encode()).digest()
