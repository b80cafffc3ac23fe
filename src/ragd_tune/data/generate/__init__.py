"""From documents to questions: recipes without an LLM, filters, splits by document."""

from __future__ import annotations

from ragd_tune.data.generate.assemble import Assembled, assemble
from ragd_tune.data.generate.filters import FILTERS, Sieve
from ragd_tune.data.generate.model import Dropped, FilterReport, Question
from ragd_tune.data.generate.recipes import RECIPES, generate
from ragd_tune.data.generate.splits import sides

__all__ = [
    "FILTERS",
    "RECIPES",
    "Assembled",
    "Dropped",
    "FilterReport",
    "Question",
    "Sieve",
    "assemble",
    "generate",
    "sides",
]
