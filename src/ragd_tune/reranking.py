"""What kinds of rerankers have in common: whose candidates they put in order, as options say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragd_tune.options import Option, Value

EMBEDDER = "all-MiniLM-L6-v2"
"""ragd's own, for what names none."""

FIRST_STAGE = "first-stage"
"""Where a reranker's negatives come from, if the option ``negatives_from`` has this value."""

PROOF = (
    Option(
        name="first_stage",
        type="str",
        default=EMBEDDER,
        group="proof",
        help="what finds the candidates: an embedder (a base or an adapter), bm25, or hybrid (as "
        "ragd weighs both; hybrid:NAME for another embedder)",
        reason="ragd's own embedder",
    ),
    Option(
        name="candidates",
        type="int",
        default=50,
        low=2,
        high=1000,
        group="proof",
        unit="documents",
        help="how many of the first stage's best documents are reranked",
    ),
    Option(
        name="beside",
        type="strs",
        default=(),
        group="proof",
        help="embedders whose order is reported beside, as the tuned one",
    ),
)
"""How a reranker is judged: every kind of them has these options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How ``candidates`` are found: by an ``embedder``, by ``keywords``, or by both.

    ``embedder`` is empty where keywords alone find them. ``beside`` are embedders whose order is
    told as well.
    """

    embedder: str
    keywords: bool
    candidates: int
    beside: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Value]) -> Stage:
        """Read the options of the proof."""
        name, beside = str(options["first_stage"]), options["beside"]
        assert isinstance(beside, tuple)
        how, _, rest = name.partition(":")
        embedder = {"bm25": "", "hybrid": rest or EMBEDDER}.get(how, name)
        return cls(
            embedder=embedder,
            keywords=how in {"bm25", "hybrid"},
            candidates=int(str(options["candidates"])),
            beside=tuple(str(one) for one in beside),
        )

    @property
    def words(self) -> str:
        """What it is, in a report."""
        found = [self.embedder] if self.embedder else []
        found += ["BM25"] if self.keywords else []
        return f"the order of {' and '.join(found)} (top {self.candidates})"
