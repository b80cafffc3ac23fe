"""The encoder that an architecture needs: our own, or one of mlx-embeddings where it is installed.

Of mlx-embeddings only the vectors of tokens are taken. It ignores the pooling that a model's files
name; pooling, dense heads and normalisation are computed here, as for every other encoder.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ragd_tune_mlx.bert import ACTIVATIONS, Bert
from ragd_tune_mlx.takes import ARCHITECTURES, check_encoder, rotary


def encoder(config: Mapping[str, Any]) -> nn.Module:
    """Return an encoder with new weights: ids, mask and segments of shape (B, L) → (B, L, H).

    Its parameters have the names that transformers gives them.

    :raises UsageError: the architecture is not computed, or a setting of it would be wrong.
    """
    check_encoder(config)
    return Bert(config) if config["model_type"] in ARCHITECTURES else _modernbert(config)


def _modernbert(config: Mapping[str, Any]) -> nn.Module:
    """Return ModernBERT (Warner et al. 2024, arXiv 2412.13663) by mlx-embeddings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports models of images and of speech as well
        from mlx_embeddings.models import modernbert

    class ModernBert(modernbert.ModernBertModel):
        """It, called as our own encoder is."""

        def __call__(self, ids: mx.array, mask: mx.array, types: mx.array) -> mx.array:
            # Its masks get the type of what it is given, and those of whole numbers come out wrong.
            there = mask.astype(self.embeddings.tok_embeddings.weight.dtype)
            made: mx.array = super().__call__(ids, attention_mask=there)["last_hidden_state"]
            return made

    told = {**config, **rotary(config)}
    made = ModernBert(modernbert.ModelArgs.from_dict(told))
    # It approximates GELU by a tanh, and transformers does not.
    for layer in made.layers:
        layer.mlp.act = ACTIVATIONS[config.get("hidden_activation", "gelu")]
    return made
