"""Rows to tensors: what sentence-transformers' data collator does, from rows and not columns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from sentence_transformers.base import BaseModel as Network

from ragd_tune.objectives import Row
from ragd_tune.objectives.reading import negatives
from ragd_tune.plan import ModelFacts, Role
from ragd_tune_cpu.base import transformer


class Collator:
    """Makes one batch: queries, positives, and all explicit negatives of its rows in one column.

    The loss is a softmax over every passage of the batch, so rows may have different numbers of
    negatives: they are not padded to the same number, and a row without one simply brings none.
    Texts are cut to ``length`` tokens, prompt included, or to the model's own limit.
    """

    valid_label_columns: tuple[str, ...] = ()

    def __init__(
        self,
        model: Network,
        rows: Sequence[Row],
        *,
        facts: ModelFacts,
        negatives: int,
        length: int | None = None,
    ) -> None:
        self.model = model
        self.rows = rows
        self.facts = facts
        self.negatives = negatives
        self.length = length

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Return the tensors of the rows that ``items`` point to."""
        rows = [self.rows[item["row"]] for item in items]
        if not rows:  # one of several processes, and the batch was too small for all of them
            return {"idle": torch.zeros(1)}  # the trainer refuses to be given nothing
        made = self._column("query", "query", [str(row["query"]) for row in rows])
        made |= self._column("positive", "document", [str(row["positive"]) for row in rows])
        further = [text for row in rows for text in negatives(row, self.negatives)]
        if further:
            made |= self._column("negative", "document", further)
        return made

    def _column(self, name: str, role: Role, texts: list[str]) -> dict[str, Any]:
        prompt = self.facts.prompts.get(role) or None
        with cut_to(self.model, self.length):
            features = self.model.preprocess(texts, prompt=prompt, task=role)
        return {f"{name}_{key}": value for key, value in features.items()}


@contextlib.contextmanager
def cut_to(model: Network, length: int | None) -> Iterator[None]:
    """Cut texts to ``length`` tokens meanwhile, where the model cuts at all and later than that."""
    own = model.max_seq_length if transformer(model) is not None else None
    if length is None or own is None or own <= length:
        yield
        return
    model.max_seq_length = length
    try:
        yield
    finally:
        model.max_seq_length = own
