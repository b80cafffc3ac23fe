"""An encoder of BERT's family and a projection: one vector of unit length for every token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ragd_tune.errors import NotInstalledError, TuneError
from ragd_tune.objectives.late import DIMENSION, Shape, marks
from ragd_tune.plan import ModelFacts
from ragd_tune.training.initial import projection
from ragd_tune_mlx import weights
from ragd_tune_mlx.bert import Bert
from ragd_tune_mlx.embedder import encoder_arrays, fitted, unit
from ragd_tune_mlx.late.tokens import Words
from ragd_tune_mlx.recipe import length, table
from ragd_tune_mlx.takes import check_late
from ragd_tune_mlx.tokens import Tokenizer
from ragd_tune_mlx.weights import Arrays

PROJECTION = "projection.safetensors"
"""The projection of an adapter whose other weights are LoRA matrices."""
_NAME = "projection.weight"


class LateEncoder(nn.Module):
    """Vectors of tokens, float32 (B, L, dimension), each of unit length."""

    def __init__(self, config: Mapping[str, Any], dimension: int) -> None:
        super().__init__()
        self.transformer = Bert(config)
        self.projection = nn.Linear(config["hidden_size"], dimension, bias=False)

    def __call__(self, words: Words) -> mx.array:
        """Return float32 (B, L, dimension)."""
        tokens = words.tokens
        states = self.transformer(tokens.ids, tokens.mask, tokens.types)
        return unit(self.projection(states).astype(mx.float32))


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An encoder's folder; its arrays have the names that they have in :class:`LateEncoder`."""

    folder: Path
    config: Mapping[str, Any]
    arrays: Arrays
    limit: int
    lowercase: bool

    def facts(self, *, dimension: int | None = None, max_length: int | None = None) -> ModelFacts:
        """Return what a new model over the encoder is; ``max_length`` cuts its documents."""
        tokenizer = Tokenizer(self.folder, length=self.limit).inner
        return ModelFacts(
            dimension=dimension or DIMENSION,
            max_length=min(max_length or self.limit, self.limit),
            pooling="none",
            normalise=True,
            prompts=marks(tokenizer),
            settings=Shape.fresh(tokenizer).settings(),
        )

    def drawn(self, dimension: int, *, seed: int = 0) -> mx.array:
        """Return a new projection, float32 (dimension, hidden): the same one in every backend."""
        return mx.array(projection(int(self.config["hidden_size"]), dimension, seed=seed))


def open_folder(folder: Path, *, name: str) -> Opened:
    """Read the encoder in ``folder``; pooling and heads behind it play no part.

    :raises UsageError: it has no transformer in front, is another architecture, or a ColBERT
        checkpoint, which brings a projection and settings of its own.
    """
    config = table(folder / "config.json")
    if not config:
        raise NotInstalledError(f"base model {name}: {folder} holds no model (no config.json)")
    check_late(folder, config, name)
    settings = table(folder / "sentence_bert_config.json")
    return Opened(
        folder=folder,
        config=config,
        arrays=encoder_arrays(folder),
        limit=length(folder, config, settings),
        lowercase=bool(settings.get("do_lower_case")),
    )


def build(opened: Opened, project: mx.array) -> LateEncoder:
    """Return a model that uses the arrays of ``opened`` and the projection ``project``.

    :raises TuneError: the weights are not those of the architecture; names one.
    """
    model = LateEncoder(opened.config, int(project.shape[0]))
    return fitted(model, {**opened.arrays, _NAME: project}, str(opened.folder))


def write_projection(model: LateEncoder, out: Path) -> None:
    """Write the projection beside an adapter of LoRA matrices."""
    weights.write(out / PROJECTION, {"linear.weight": model.projection.weight})


def read_projection(adapter: Path, *, dimension: int, hidden: int) -> mx.array:
    """Return the projection of an adapter, float32 (dimension, hidden).

    :raises TuneError: it is missing, or has another shape.
    """
    path = adapter / PROJECTION
    if not path.is_file():
        raise TuneError(f"{adapter}: {PROJECTION} is missing, so it is no ColBERT adapter")
    try:
        found = mx.load(str(path))["linear.weight"]
        mx.eval(found)
    except (RuntimeError, ValueError, KeyError) as error:
        raise TuneError(f"{path}: holds no projection: {error}") from error
    if found.shape != (dimension, hidden):
        raise TuneError(f"{path}: is {found.shape}, this base needs {(dimension, hidden)}")
    return found.astype(mx.float32)
