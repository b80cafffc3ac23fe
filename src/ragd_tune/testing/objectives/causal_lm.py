"""The objective ``causal_lm`` in the suite: what a language model says after a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.backends import Limits
from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Value
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.testing.objectives.checks import Checks
from ragd_tune.testing.samples import causal_rows

if TYPE_CHECKING:
    from ragd_tune.testing.loaded import Loaded
    from ragd_tune.testing.objectives.checks import Outputs

TOKENS = 12
"""Tokens of an answer: enough for two barely trained models to differ."""


class CausalLM(Checks):
    """The next token of the completion, after the prompt."""

    objective = "causal_lm"
    kind = "raft"
    silent = frozenset({"early_stop", "micro_batch", "packing", "too_long"})
    settings = {"max_length": 64, "too_long": "drop", "micro_batch": 3}  # noqa: RUF012

    def rows(self) -> Rows:
        """Return rows of several lengths, some with a system text, some with a part to keep."""
        return causal_rows()

    def odd_rows(self, text: str) -> list[Row]:
        """Return four rows with ``text`` as prompt, completion, system text and part to keep."""
        return [
            {"prompt": text, "completion": "garden"},
            {"prompt": "garden", "completion": text},
            {"prompt": f"lamp {text}", "completion": "lake", "system": text[:50]},
            {"prompt": f"lamp {text}", "completion": "lamp", "keep": ["lamp"]},
        ]

    def single_rows(self) -> Mapping[str, Row]:
        """Return one row: it needs no other."""
        return {"alone": {"prompt": "garden or harbour?", "completion": "garden"}}

    def reworded(self, row: Row) -> Row:
        """Return another prompt and another completion."""
        return {"prompt": "quite another question", "completion": "window wagon"}

    def changes(self, facts: ModelFacts) -> Mapping[str, Value]:
        """Return what must change the weights; parts and packing must not."""
        return {"max_length": 28, "chat_template": "no"}

    def check_facts(self, facts: ModelFacts, plan: TrainPlan) -> None:
        """A language model reads so many tokens, was trained on so many, and has no vectors."""
        assert facts.dimension == 0
        assert not facts.normalise
        assert facts.max_length >= plan.integer("max_length")
        assert facts.settings["trained_length"] == plan.integer("max_length")
        assert facts.settings["chat_template"] is True

    def loss(self, model: Loaded, rows: Sequence[Row], plan: TrainPlan) -> None:
        """Return None: generating shows the likeliest tokens, and not how likely they are."""
        return

    def outputs(self, model: Loaded, texts: Sequence[str]) -> Outputs:
        """Return the letters of greedy answers."""
        found = model.generate(list(texts), Limits(max_tokens=TOKENS))
        assert isinstance(found, list)
        assert all(isinstance(one, str) for one in found)
        return {"greedy": [np.array([ord(letter) for letter in one], np.float32) for one in found]}

    def check_outputs(self, outputs: Outputs, texts: Sequence[str], facts: ModelFacts) -> None:
        """There is one answer a prompt."""
        for answers in outputs.values():
            assert len(answers) == len(texts)

    def check_nothing(self, model: Loaded) -> None:
        """No prompts give an empty list."""
        assert model.generate([], Limits()) == []

    def too_long(self, length: int) -> tuple[str, str]:
        """Return two prompts that differ only in their middle: beginnings and ends are kept."""
        half = "garden forest " * length
        return f"{half}anchor {half}", f"{half}letter {half}"
