"""What a late-interaction model has beside weights: lengths, query expansion, marks, skipped words.

Where nothing is said, the values are those of ColBERTv2's checkpoint (Santhanam et al. 2022, arXiv
2112.01488): queries of 32 tokens filled up with masks that nobody attends to, ``[unused0]`` before
a query, ``[unused1]`` before a document, and no vectors for a document's punctuation.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ragd_tune.errors import UsageError
from ragd_tune.options import Value

MARKS = {"query": "[unused0] ", "document": "[unused1] "}
"""Prompts of one token each, where the vocabulary has those tokens."""

DIMENSION = 128
"""Floats of a token's vector where nobody says how many: as in ColBERT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The settings of one model, by the names of the options that set them."""

    query_length: int = 32
    query_expansion: bool = True
    expansion_attends: bool = False
    skip_punctuation: bool = True

    @classmethod
    def fresh(cls, tokenizer: Any) -> Shape:
        """Return the settings of a new model over an encoder with this tokenizer."""
        return cls(query_expansion=tokenizer.mask_token is not None)

    def settings(self) -> dict[str, Value]:
        """Return what the manifest keeps."""
        return asdict(self)

    def changed(self, wanted: Mapping[str, Value]) -> Shape:
        """Return it with every value of ``wanted`` that is set and is one of its own."""
        own = self.settings()
        new = {name: wanted[name] for name in own if wanted.get(name) is not None}
        return Shape(**{**own, **new})  # type: ignore[arg-type]

    def check(self, tokenizer: Any) -> None:
        """Refuse to fill queries up without a token to do so.

        :raises UsageError: the vocabulary has no mask token.
        """
        if self.query_expansion and tokenizer.mask_token is None:
            raise UsageError(
                "query_expansion fills queries up with mask tokens, and this base has none",
                mend="use --query-expansion no",
            )


def punctuation(tokenizer: Any) -> list[str]:
    """Return the marks of ASCII punctuation that are a token of this vocabulary, in order."""
    known = tokenizer.get_vocab()
    return [mark for mark in string.punctuation if mark in known]


def marks(tokenizer: Any) -> dict[str, str]:
    """Return the marks of both roles, or none where the vocabulary lacks one of them."""
    known = tokenizer.get_vocab()
    return dict(MARKS) if all(mark.strip() in known for mark in MARKS.values()) else {}


def register(tokenizer: Any, prompts: Mapping[str, str]) -> None:
    """Have the tokenizer keep prompts that are a token of its vocabulary in one piece.

    Written as text, ``[unused0]`` falls apart at its brackets. Only tokens that are there already
    are registered: the embedding table does not grow.
    """
    known = tokenizer.get_vocab()
    for prompt in prompts.values():
        token = prompt.strip()
        if token and token in known and tokenizer.tokenize(token) != [token]:
            tokenizer.add_tokens([token], special_tokens=True)
