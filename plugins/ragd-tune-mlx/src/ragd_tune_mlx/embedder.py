"""A whole embedding model: encoder, pooling, dense heads. And its weights, in and out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ragd_tune.errors import TuneError
from ragd_tune_mlx import weights
from ragd_tune_mlx.encoders import encoder
from ragd_tune_mlx.recipe import Dense, Recipe
from ragd_tune_mlx.takes import check_head
from ragd_tune_mlx.tokens import Tokens
from ragd_tune_mlx.weights import Arrays

ENCODER = "transformer."
_PREFIXES = ("bert.", "roberta.", "model.")
_IDLE = ("pooler.", "cls.", "lm_head.", "classifier.", "qa_outputs.", "head.", "decoder.")
"""Parts that no pooled vector passes through: they are not computed, and written as they were."""

_HEADS = {
    "Identity": lambda x: x,
    "Tanh": mx.tanh,
    "ReLU": lambda x: mx.maximum(x, 0),
    "Sigmoid": mx.sigmoid,
}


Model = TypeVar("Model", bound=nn.Module)


class Head(nn.Module):
    """A dense head: (B, inputs) → (B, outputs)."""

    def __init__(self, made: Dense) -> None:
        super().__init__()
        check_head(made.activation)
        self.linear = nn.Linear(made.inputs, made.outputs, bias=made.bias)
        self._act = _HEADS[made.activation]

    def __call__(self, x: mx.array) -> mx.array:
        """(B, inputs) → (B, outputs)."""
        return self._act(self.linear(x))


class Embedder(nn.Module):
    """Vectors of texts, float32 (B, dimension), before normalisation."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.transformer = encoder(recipe.config)
        self.dense = [Head(one) for one in recipe.dense]
        self._pooling = recipe.pooling

    def __call__(self, tokens: Tokens) -> mx.array:
        """Return float32 (B, dimension)."""
        # Whatever the encoder computed in, a mean over tokens and a cosine need float32's digits.
        states = self.transformer(tokens.ids, tokens.mask, tokens.types).astype(mx.float32)
        vectors = pooled(states, tokens.mask, self._pooling)
        for head in self.dense:
            vectors = head(vectors)
        return vectors


def pooled(states: mx.array, mask: mx.array, how: str) -> mx.array:
    """Return one vector a text: (B, L, H) and mask (B, L) → (B, H)."""
    if how == "cls":
        return states[:, 0]
    there = mask[..., None].astype(states.dtype)
    if how == "max":
        return mx.where(there > 0, states, -1e9).max(axis=1)
    return (states * there).sum(axis=1) / mx.maximum(there.sum(axis=1), 1e-9)


def unit(vectors: mx.array) -> mx.array:
    """Return ``vectors`` at length 1; the smallest length that divides is 1e-12, as in PyTorch."""
    length = mx.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / mx.maximum(length, 1e-12)


def encoder_name(name: str) -> str:
    """Return the name of a tensor within the encoder: prefixes and old spellings are gone."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def is_idle(name: str) -> bool:
    """Say whether the tensor ``name`` takes no part in a vector."""
    return name.startswith(_IDLE) or name.endswith("position_ids")


def encoder_arrays(folder: Path) -> Arrays:
    """Return the parameters of the encoder in ``folder``, float32, as a part of a larger model."""
    found = {
        ENCODER + encoder_name(name): value.astype(mx.float32)
        for name, value in weights.read(folder).items()
        if not is_idle(encoder_name(name))
    }
    mx.eval(found)
    return found


def read_arrays(recipe: Recipe) -> Arrays:
    """Return the parameters of an :class:`Embedder`, float32, by their names in it."""
    found = encoder_arrays(recipe.folder)
    for number, head in enumerate(recipe.dense):
        for name, value in weights.read(recipe.folder, head.place).items():
            found[f"dense.{number}.{name}"] = value
    made = {name: value.astype(mx.float32) for name, value in found.items()}
    mx.eval(made)
    return made


def build(recipe: Recipe, arrays: Mapping[str, mx.array]) -> Embedder:
    """Return a model that uses ``arrays`` as they are: models of one base share them.

    :raises TuneError: the weights are not those of the architecture; names one.
    """
    return fitted(Embedder(recipe), arrays, str(recipe.folder))


def fitted(model: Model, arrays: Mapping[str, mx.array], where: str) -> Model:
    """Give ``model`` the parameters ``arrays``, all of them and no others; return it.

    :raises TuneError: they are not those of the architecture; names one.
    """
    wanted = {name: value.shape for name, value in tree_flatten(model.parameters())}
    given = {name: value.shape for name, value in arrays.items()}
    odd = sorted(
        name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name)
    )
    if odd:
        name = odd[0]
        raise TuneError(
            f"{where}: {name} is {_told(given.get(name))}, and its configuration "
            f"makes it {_told(wanted.get(name))}",
            mend="fetch the base model again",
        )
    model.load_weights(list(arrays.items()))
    model.eval()
    return model


def _told(shape: Any) -> str:
    return "not there" if shape is None else "×".join(map(str, shape))
