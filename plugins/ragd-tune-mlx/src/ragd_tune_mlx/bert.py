"""Encoders of BERT's family, with Hugging Face's names for weights.

BERT (Devlin et al. 2018, arXiv 1810.04805) and RoBERTa (Liu et al. 2019, arXiv 1907.11692), which
differs in where positions start. Shapes: B texts, L tokens, H hidden units, A heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ragd_tune_mlx.takes import FROM_PADDING, check


def gelu(x: mx.array) -> mx.array:
    """Return x·Φ(x), exactly (Hendrycks and Gimpel 2016, arXiv 1606.08415).

    MLX's own is compiled, which calls a C++ compiler on a CPU.
    """
    return x * (1 + mx.erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: mx.array) -> mx.array:
    """Return the approximation of :func:`gelu` by a tanh."""
    return 0.5 * x * (1 + mx.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS: Mapping[str, Callable[[mx.array], mx.array]] = {
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": lambda x: mx.maximum(x, 0),
}


class Embeddings(nn.Module):
    """Sum of word, position and segment, normalised: (B, L) → (B, L, H)."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        hidden = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], hidden)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], hidden)
        self.token_type_embeddings = nn.Embedding(config.get("type_vocab_size", 2), hidden)
        self.LayerNorm = _norm(config)
        self.dropout = nn.Dropout(config.get("hidden_dropout_prob", 0.1))

    def __call__(self, ids: mx.array, positions: mx.array, types: mx.array) -> mx.array:
        """(B, L) → (B, L, H)."""
        places = self.position_embeddings(positions) + self.token_type_embeddings(types)
        return self.dropout(self.LayerNorm(self.word_embeddings(ids) + places))


class SelfAttention(nn.Module):
    """Scaled dot products over the tokens that are there. Without dropout of attention weights."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        hidden = config["hidden_size"]
        self.heads = config["num_attention_heads"]
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        """(B, L, H) and mask (B, 1, 1, L) → (B, L, H)."""
        batch, length, hidden = x.shape
        q, k, v = (
            layer(x).reshape(batch, length, self.heads, -1).transpose(0, 2, 1, 3)
            for layer in (self.query, self.key, self.value)
        )
        scale = (hidden // self.heads) ** -0.5
        made = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
        return made.transpose(0, 2, 1, 3).reshape(batch, length, hidden)


class Residual(nn.Module):
    """A dense layer, added to what it read from and normalised."""

    def __init__(self, config: Mapping[str, Any], width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config["hidden_size"])
        self.LayerNorm = _norm(config)
        self.dropout = nn.Dropout(config.get("hidden_dropout_prob", 0.1))

    def __call__(self, x: mx.array, before: mx.array) -> mx.array:
        """Return the norm of ``before`` plus the layer."""
        return self.LayerNorm(self.dropout(self.dense(x)) + before)


class Attention(nn.Module):
    """Attention and its residual."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = Residual(config, config["hidden_size"])

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        """(B, L, H) → (B, L, H)."""
        return self.output(self.self(x, mask), x)


class Intermediate(nn.Module):
    """The wide layer."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.dense = nn.Linear(config["hidden_size"], config["intermediate_size"])
        self._act = ACTIVATIONS[config.get("hidden_act", "gelu")]

    def __call__(self, x: mx.array) -> mx.array:
        """(B, L, H) → (B, L, width)."""
        return self._act(self.dense(x))


class Layer(nn.Module):
    """One layer."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = Residual(config, config["intermediate_size"])

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        """(B, L, H) → (B, L, H)."""
        attended = self.attention(x, mask)
        return self.output(self.intermediate(attended), attended)


class Layers(nn.Module):
    """All layers, under the name that Hugging Face gives them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.layer = [Layer(config) for _ in range(config["num_hidden_layers"])]

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        """(B, L, H) → (B, L, H)."""
        for layer in self.layer:
            x = layer(x, mask)
        return x


class Bert(nn.Module):
    """Token vectors: ids, mask and segments of shape (B, L) → (B, L, H)."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        check(config)
        self.embeddings = Embeddings(config)
        self.encoder = Layers(config)
        padding = config.get("pad_token_id")
        self._behind = config["model_type"] in FROM_PADDING
        self._padding = 1 if padding is None else int(padding)

    def __call__(self, ids: mx.array, mask: mx.array, types: mx.array) -> mx.array:
        """(B, L) → (B, L, H)."""
        if self._behind:
            # By ids and not by the mask: what fills a query up has a place, and is not attended to.
            there = (ids != self._padding).astype(mx.int32)
            positions = mx.cumsum(there, axis=1) * there + self._padding
        else:
            positions = mx.arange(ids.shape[1])
        x = self.embeddings(ids, positions, types)
        return self.encoder(x, mask[:, None, None, :].astype(mx.bool_))


def _norm(config: Mapping[str, Any]) -> nn.LayerNorm:
    return nn.LayerNorm(config["hidden_size"], eps=config.get("layer_norm_eps", 1e-12))
