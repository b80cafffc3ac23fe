"""A data set while it is being read, and what every layout has in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ragd_tune.data.findings import BadRow, Findings
from ragd_tune.data.model import SPLITS, Document, Places, Query, ScoredPair
from ragd_tune.data.rows import Row

SPLIT_NAMES = {name: name for name in SPLITS} | dict.fromkeys(
    ("val", "valid", "validation", "devel", "development"), "dev"
)
"""Names that files and rows use for a split."""


@dataclass(slots=True)
class Parts:
    """A data set while it is being read."""

    corpus: dict[str, Document] = field(default_factory=dict)
    queries: dict[str, Query] = field(default_factory=dict)
    qrels: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    negatives: dict[str, tuple[str, ...]] = field(default_factory=dict)
    written: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scored: list[ScoredPair] = field(default_factory=list)
    places: Places = field(default_factory=Places)


def find(folder: Path, name: str, findings: Findings) -> Path | None:
    """Return ``name`` or ``name.gz`` in ``folder``, None if neither is there."""
    plain, packed = folder / name, folder / f"{name}.gz"
    there = [path for path in (plain, packed) if path.exists() or path.is_symlink()]
    if len(there) > 1:
        mend = "keep one of the two"
        findings.error("two-files", f"stands beside {packed.name}", plain, mend=mend)
    return there[0] if there else None


def scored_pair(row: Row, split: str) -> ScoredPair:
    """Return the scored pair of a row.

    :raises BadRow: a text is missing, or the score is no number in [0, 1].
    """
    value = row.first("score")[1]
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise BadRow("bad-score", f"{value!r} is no number", "write 0 to 1") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRow("bad-score", "has no number 'score'", "write a score from 0 to 1")
    if not 0 <= value <= 1:
        mend = "divide by the largest possible score (STS: by 5)"
        raise BadRow("bad-score", f"the score {value} is outside 0 to 1", mend)
    first, second = row.text("text1", "sentence1"), row.text("text2", "sentence2")
    return ScoredPair(first, second, float(value), split)
