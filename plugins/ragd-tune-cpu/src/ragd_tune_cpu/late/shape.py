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

from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from transformers import AddedToken

from ragd_tune.errors import UsageError
from ragd_tune.options import Value
from ragd_tune_cpu.base import transformer

MARKS = {"query": "[unused0] ", "document": "[unused1] "}
"""Prompts of one token each, where the vocabulary has those tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The settings of one model, by the names of the options that set them."""

    query_length: int = 32
    query_expansion: bool = True
    expansion_attends: bool = False
    skip_punctuation: bool = True

    def settings(self) -> dict[str, Value]:
        """Return what the manifest keeps."""
        return asdict(self)

    def changed(self, wanted: Mapping[str, Value]) -> Shape:
        """Return it with every value of ``wanted`` that is set and is one of its own."""
        own = self.settings()
        new = {name: wanted[name] for name in own if wanted.get(name) is not None}
        return Shape(**{**own, **new})  # type: ignore[arg-type]


def encoder_of(model: MultiVectorEncoder) -> Transformer:
    """Return the transformer in front."""
    first = transformer(model)
    assert first is not None
    return first


def mask_of(model: MultiVectorEncoder) -> MultiVectorMask:
    """Return the module that says which tokens count.

    :raises UsageError: there is none.
    """
    for module in model:
        if isinstance(module, MultiVectorMask):
            return module
    raise UsageError("this model has no MultiVectorMask, so nobody knows which tokens count")


def shape_of(model: MultiVectorEncoder) -> Shape:
    """Return the settings that a ColBERT checkpoint came with."""
    encoder = encoder_of(model)
    expansion: Mapping[str, Any] | None = encoder.query_expansion
    length = expansion["length"] if expansion else encoder.query_length
    return Shape(
        query_length=int(length or Shape().query_length),
        query_expansion=expansion is not None,
        expansion_attends=bool(expansion and expansion["attend"]),
        skip_punctuation=bool(mask_of(model).skiplist_words),
    )


def fresh(tokenizer: Any) -> Shape:
    """Return the settings of a new model over an encoder with this tokenizer."""
    return Shape(query_expansion=tokenizer.mask_token is not None)


def give(model: MultiVectorEncoder, shape: Shape) -> None:
    """Have ``model`` work by ``shape``.

    :raises UsageError: queries are to be filled up, and the vocabulary has no mask token.
    """
    encoder = encoder_of(model)
    if shape.query_expansion and model.tokenizer.mask_token is None:
        raise UsageError(
            "query_expansion fills queries up with mask tokens, and this base has none",
            mend="use --query-expansion no",
        )
    encoder.query_expansion = None  # else the old one would be held against the new length
    encoder.query_length = shape.query_length
    if shape.query_expansion:
        encoder.query_expansion = {
            "strategy": "fixed",
            "attend": shape.expansion_attends,
            "length": shape.query_length,
        }
    mask = mask_of(model)
    if bool(mask.skiplist_words) != shape.skip_punctuation:
        mask.skiplist_words = punctuation(model.tokenizer) if shape.skip_punctuation else []
    mask.resolve_with_tokenizer(model.tokenizer)


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
            added = AddedToken(token, normalized=False, special=True)
            tokenizer.add_tokens([added], special_tokens=True)
