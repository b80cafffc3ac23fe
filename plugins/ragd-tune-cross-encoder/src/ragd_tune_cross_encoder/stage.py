"""What the options say of a reranker's first stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragd_tune.options import Value

EMBEDDER = "all-MiniLM-L6-v2"
"""ragd's own, for what names none."""


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
