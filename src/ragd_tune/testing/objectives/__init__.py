"""What the suite of a backend knows of each objective: one file an objective.

The suite's tests are the same for all objectives. What differs (rows, options that must have an
effect, the loss worked out from a loaded model's answers, and those answers themselves) stands in a
subclass of :class:`Checks`; a new objective is covered by adding one here.
"""

from __future__ import annotations

from collections.abc import Mapping

from ragd_tune.testing.objectives.causal_lm import CausalLM
from ragd_tune.testing.objectives.checks import Checks, Outputs
from ragd_tune.testing.objectives.contrastive import Contrastive
from ragd_tune.testing.objectives.late_interaction import LateInteraction
from ragd_tune.testing.objectives.relevance import Relevance
from ragd_tune.testing.objectives.similarity import Similarity

COVERED: Mapping[str, Checks] = {
    one.objective: one
    for one in (CausalLM(), Contrastive(), LateInteraction(), Relevance(), Similarity())
}
"""By the objective's id."""

__all__ = ["COVERED", "Checks", "Outputs"]
