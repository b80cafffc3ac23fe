"""An encoder of BERT's family with one score, under the names that transformers gives its parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ragd_tune.errors import NotInstalledError, TuneError
from ragd_tune.interchange.lora import Lora
from ragd_tune.plan import ModelFacts
from ragd_tune.training.initial import lora_a
from ragd_tune_mlx import weights
from ragd_tune_mlx.bert import Bert
from ragd_tune_mlx.embedder import encoder_name, fitted
from ragd_tune_mlx.recipe import length, table
from ragd_tune_mlx.takes import FROM_PADDING, check_reranker
from ragd_tune_mlx.tokens import Tokens
from ragd_tune_mlx.weights import Arrays

HEAD = "classifier"
_IDLE = ("cls.", "lm_head.", "qa_outputs.")


class Pooler(nn.Module):
    """BERT's: the first token through a dense layer and a tanh, (B, L, H) → (B, H)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)

    def __call__(self, states: mx.array) -> mx.array:
        """(B, L, H) → (B, H)."""
        return mx.tanh(self.dense(states[:, 0]))


class RobertaHead(nn.Module):
    """RoBERTa's: a dense layer, a tanh and the score, (B, L, H) → (B, 1)."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(hidden, 1)

    def __call__(self, states: mx.array) -> mx.array:
        """(B, L, H) → (B, 1)."""
        made = mx.tanh(self.dense(self.dropout(states[:, 0])))
        return self.out_proj(self.dropout(made))


class Scorer(nn.Module):
    """Logits of pairs, float32 (B,): what a score is before its sigmoid."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        encoder = Bert(config)
        hidden = config["hidden_size"]
        own = config.get("classifier_dropout")
        dropout = config.get("hidden_dropout_prob", 0.1) if own is None else own
        self._prefix = prefix_of(config)
        self._roberta = config["model_type"] in FROM_PADDING
        if self._roberta:
            self.classifier: nn.Module = RobertaHead(hidden, dropout)
        else:
            encoder.pooler = Pooler(hidden)
            self.dropout = nn.Dropout(dropout)
            self.classifier = nn.Linear(hidden, 1)
        setattr(self, self._prefix, encoder)

    def __call__(self, tokens: Tokens) -> mx.array:
        """Return float32 (B,)."""
        encoder = self[self._prefix]
        states = encoder(tokens.ids, tokens.mask, tokens.types)
        if not self._roberta:
            states = self.dropout(encoder.pooler(states))
        return self.classifier(states).reshape(-1).astype(mx.float32)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a folder holds. ``new`` are parameters of the head that it does not, and were drawn."""

    place: Path
    config: Mapping[str, Any]
    arrays: Arrays
    new: tuple[str, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """The modules that every tuning trains whole: the head, and a pooler that is new."""
        pooler = f"{prefix_of(self.config)}.pooler"
        fresh = any(name.startswith(f"{pooler}.") for name in self.new)
        return (HEAD, pooler) if fresh else (HEAD,)

    def facts(self) -> ModelFacts:
        """Return what the model is."""
        return ModelFacts(
            max_length=length(self.place, self.config, {}),
            normalise=False,
            settings={"untrained_head": True} if self.new else {},
        )


def prefix_of(config: Mapping[str, Any]) -> str:
    """Return what transformers calls the encoder inside of a model with a head."""
    return "roberta" if config["model_type"] in FROM_PADDING else "bert"


def open_folder(folder: Path, *, name: str, seed: int = 0) -> Opened:
    """Read a model's folder, float32; a plain encoder gets a head with new weights.

    Those depend on ``seed`` and on their names alone, as in every backend.

    :raises UsageError: it is another architecture, a language model, or gives several scores.
    :raises TuneError: the files do not make a model.
    """
    place = _transformer_of(folder)
    if not (place / "config.json").is_file():
        raise NotInstalledError(f"base model {name}: {folder} holds no model (no config.json)")
    config = table(place / "config.json")
    check_reranker(config, name)
    wanted = dict(tree_flatten(Scorer(config).parameters()))
    stored = {_full(key, config): value for key, value in weights.read(place).items()}
    found = {key: value.astype(mx.float32) for key, value in stored.items() if key in wanted}
    new = tuple(sorted(key for key in wanted.keys() - found.keys() if _is_head(key)))
    made = found | {key: _drawn(key, wanted[key].shape, seed) for key in new}
    mx.eval(made)
    return Opened(place=place, config=config, arrays=made, new=new)


def build(opened: Opened, adapter: Lora | None = None, *, where: str = "") -> Scorer:
    """Return a model that uses the arrays of ``opened``; an adapter brings its own head.

    :raises TuneError: the weights are not those of the architecture; names one.
    """
    arrays = dict(opened.arrays)
    if adapter is not None:
        arrays |= _head_of(opened, adapter, where)
    return fitted(Scorer(opened.config), arrays, str(opened.place))


def _head_of(opened: Opened, adapter: Lora, where: str) -> Arrays:
    brought = {
        f"{layer}.{name}": mx.array(value)
        for layer, values in adapter.whole.items()
        for name, value in values.items()
    }
    inside = tuple(f"{head}." for head in opened.heads)
    wanted = {name for name in opened.arrays if name.startswith(inside)}
    odd = sorted((wanted - brought.keys()) | (brought.keys() - opened.arrays.keys()))
    odd += [n for n in sorted(brought) if n not in odd and not _same(brought, opened.arrays, n)]
    if odd:
        raise TuneError(f"{where}: does not fit this base ({odd[0]})", mend="look at its base")
    return brought


def _same(one: Arrays, two: Arrays, name: str) -> bool:
    return bool(one[name].shape == two[name].shape)


def _transformer_of(folder: Path) -> Path:
    """Return where the transformer of a sentence-transformers folder lies."""
    listed = folder / "modules.json"
    if not listed.is_file():
        return folder
    first = str(json.loads(listed.read_text(encoding="utf-8"))[0]["path"])
    place = (folder / first).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise TuneError(f"{listed}: names {first!r}, which lies outside of the folder")
    return place


def _full(key: str, config: Mapping[str, Any]) -> str:
    """Return what a stored tensor is called here: plain encoders leave their prefix out."""
    name = encoder_name(key)
    if name.startswith(f"{HEAD}."):
        return name
    return name if name.startswith(_IDLE) else f"{prefix_of(config)}.{name}"


def _is_head(name: str) -> bool:
    return name.startswith(f"{HEAD}.") or ".pooler." in name


def _drawn(name: str, shape: tuple[int, ...], seed: int) -> mx.array:
    """Return new weights: matrices uniform in ±1/√width as PyTorch's linear layers, biases 0."""
    if len(shape) < 2:
        return mx.zeros(shape)
    return mx.array(lora_a(name, rank=shape[0], width=shape[1], seed=seed))
