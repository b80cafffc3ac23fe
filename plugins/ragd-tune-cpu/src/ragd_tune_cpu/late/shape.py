"""A sentence-transformers model and its :class:`ragd_tune.objectives.late.Shape`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

from ragd_tune.errors import UsageError
from ragd_tune.objectives.late import Shape, punctuation
from ragd_tune_cpu.base import transformer


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


def give(model: MultiVectorEncoder, shape: Shape) -> None:
    """Have ``model`` work by ``shape``.

    :raises UsageError: queries are to be filled up, and the vocabulary has no mask token.
    """
    encoder = encoder_of(model)
    shape.check(model.tokenizer)
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
