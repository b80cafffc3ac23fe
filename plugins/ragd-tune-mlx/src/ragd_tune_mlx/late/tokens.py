"""Texts to tokens by their role: prompts, query expansion, and which tokens have vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx
import numpy as np

from ragd_tune.objectives.late import Shape, punctuation, register
from ragd_tune.plan import ModelFacts, Role
from ragd_tune_mlx.tokens import Tokenizer, Tokens


@dataclass(frozen=True, kw_only=True)
class Words:
    """Tokens of a batch, and which of them count: float32 (B, L) of ones and zeros."""

    tokens: Tokens
    counted: mx.array


class LateTokenizer:
    """The tokenizer of a late-interaction model that is as its ``facts`` say."""

    def __init__(self, folder: Path, facts: ModelFacts, *, lowercase: bool = False) -> None:
        self._shape = Shape().changed(facts.settings)
        self._prompts = facts.prompts
        lengths: dict[Role, int] = {
            "query": self._shape.query_length,
            "document": facts.max_length,
        }
        self._of = {
            role: Tokenizer(folder, length=length, lowercase=lowercase)
            for role, length in lengths.items()
        }
        for one in self._of.values():
            register(one.inner, facts.prompts)
        inner = self._of["document"].inner
        self._shape.check(inner)
        known = inner.get_vocab()
        marks = punctuation(inner) if self._shape.skip_punctuation else []
        self._skipped = [int(known[mark]) for mark in marks]

    def __call__(self, texts: Sequence[str], role: Role) -> Words:
        """Return the tokens of ``texts`` and which of them have vectors."""
        prompt = self._prompts.get(role, "")
        given = [prompt + text for text in texts]
        if role == "query" and self._shape.query_expansion:
            return self._expanded(given)
        tokens = self._of[role](given)
        counted = np.array(tokens.mask)
        if role == "document" and self._skipped:
            counted = counted * ~np.isin(np.array(tokens.ids), self._skipped)
        return Words(tokens=tokens, counted=mx.array(counted.astype(np.float32)))

    def _expanded(self, texts: list[str]) -> Words:
        """Fill queries up with masks: they search too, whether or not the words attend to them."""
        tokenizer = self._of["query"]
        tokens = tokenizer(texts, width=self._shape.query_length)
        ids = mx.where(tokens.mask == 0, int(tokenizer.inner.mask_token_id), tokens.ids)
        every = mx.ones_like(tokens.mask)
        mask = every if self._shape.expansion_attends else tokens.mask
        made = replace(tokens, ids=ids, mask=mask)
        return Words(tokens=made, counted=every.astype(mx.float32))
