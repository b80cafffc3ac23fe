"""Any encoder, or a reranker, as sentence-transformers' cross-encoder with one score."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.plan import ModelFacts
from ragd_tune.training.initial import lora_a
from ragd_tune_cpu.base import SAFE, check_folder
from ragd_tune_cpu.session import quiet

POOLERS = frozenset({"pooler"})
"""Parts inside an encoder that only a head reads: many encoders come without their weights."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A loaded cross-encoder. ``heads`` are the modules behind the encoder, by their full names.

    ``untrained`` says that its score means nothing yet: some weights of the head are new.
    """

    model: CrossEncoder
    heads: tuple[str, ...]
    untrained: bool


def open_folder(folder: Path, *, name: str, device: str, seed: int = 0) -> Opened:
    """Load a model folder in float32, without network and without code of its own.

    A plain encoder gets the head that transformers has for its architecture, with new weights
    that depend on ``seed`` and their names alone.

    :raises UsageError: it is a language model, or gives several scores a pair.
    :raises TuneError: the files do not make a model.
    """
    check_folder(folder, name)
    place = _transformer_of(folder)
    _check_config(place, name)
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet():
            encoder = Transformer(
                str(place),
                transformer_task="sequence-classification",
                model_kwargs={**SAFE, **local},
                processor_kwargs=local,
                config_kwargs={**local, "num_labels": 1},
            )
            # A score between 0 and 1: ragd drops whatever is below 0.
            model = CrossEncoder(modules=[encoder], device=device, activation_fn=torch.nn.Sigmoid())
            new = _fill(encoder, _stored(place), seed)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise TuneError(f"base model {name}: cannot be loaded from {folder}: {error}") from error
    return Opened(model, _heads(encoder, new), bool(new))


def inner(model: CrossEncoder) -> torch.nn.Module:
    """Return the network of transformers inside."""
    first = model[0]
    assert isinstance(first, Transformer)
    found: torch.nn.Module = first.auto_model
    return found


def facts_of(opened: Opened, *, max_length: int | None = None) -> ModelFacts:
    """Read what an opened model is; ``max_length`` (tokens of a pair) cuts it."""
    limit = opened.model.max_seq_length
    # A tokenizer without a limit reports a number with 30 digits.
    own = min(int(limit), 1 << 20) if limit else 1 << 20
    return ModelFacts(
        max_length=min(max_length, own) if max_length else own,
        normalise=False,
        settings={"untrained_head": True} if opened.untrained else {},
    )


def _transformer_of(folder: Path) -> Path:
    """Return where the transformer of a sentence-transformers folder lies."""
    modules = folder / "modules.json"
    if not modules.is_file():
        return folder
    first = str(json.loads(modules.read_text(encoding="utf-8"))[0]["path"])
    place = (folder / first).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise TuneError(f"{modules}: names {first!r}, which lies outside of the folder")
    return place


def _check_config(folder: Path, name: str) -> None:
    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(
            f"base model {name} has no transformer in it, and a reranker needs one",
            mend="choose an encoder as BERT, or a trained reranker, as --base",
        )
    config = json.loads(path.read_text(encoding="utf-8"))
    kind = str((config.get("architectures") or [""])[0])
    if kind.endswith("ForCausalLM"):
        raise UsageError(
            f"base model {name} is a language model ({kind}); rerankers made of those are not "
            "trained here",
            mend="choose an encoder as BERT, or a trained reranker, as --base",
        )
    labels = len(config.get("id2label") or {"": ""})
    if kind.endswith("ForSequenceClassification") and labels > 1:
        raise UsageError(
            f"base model {name} tells {labels} classes apart, and a reranker gives one score",
            mend="choose the encoder that it was made of, or a reranker, as --base",
        )


def _stored(folder: Path) -> frozenset[str]:
    """Return the names of the tensors that the folder holds."""
    names: set[str] = set()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            names.update(file.keys())
    return frozenset(names)


def _fill(encoder: Transformer, stored: frozenset[str], seed: int) -> list[str]:
    """Give weights of the head that are not stored numbers of their own; return their names.

    Matrices are uniform in ±1/√width as PyTorch's linear layers, scales 1, and biases 0.
    """
    network = encoder.auto_model
    prefix = f"{network.base_model_prefix}."
    new = []
    for name, parameter in network.named_parameters():
        is_head = not name.startswith(prefix) or POOLERS & set(name.split("."))
        if not is_head or {name, name.removeprefix(prefix)} & stored:
            continue
        new.append(name)
        with torch.no_grad():
            if parameter.ndim < 2:
                parameter.fill_(1.0 if name.endswith("norm.weight") else 0.0)
                continue
            rank, width = parameter.shape
            drawn = lora_a(name, rank=rank, width=width, seed=seed)
            parameter.copy_(torch.from_numpy(drawn))
    return new


def _heads(encoder: Transformer, new: list[str]) -> tuple[str, ...]:
    """Return the modules that are trained whole by every tuning, by their full names."""
    network = encoder.auto_model
    behind = [
        name
        for name, module in network.named_children()
        if name != network.base_model_prefix and any(True for _ in module.parameters())
    ]
    return (*behind, *dict.fromkeys(_poolers(new)))


def _poolers(new: list[str]) -> Iterator[str]:
    for name in new:
        parts = name.split(".")
        for at, part in enumerate(parts):
            if part in POOLERS:
                yield ".".join(parts[: at + 1])
