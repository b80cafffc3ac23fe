"""Any encoder, or a ColBERT checkpoint, as a model with one vector a token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.objectives.late import DIMENSION, Shape, marks, register
from ragd_tune.plan import ModelFacts
from ragd_tune.training.initial import projection
from ragd_tune_cpu.base import SAFE, check_folder, load_folder, transformer
from ragd_tune_cpu.late.shape import encoder_of, give, shape_of
from ragd_tune_cpu.session import quiet

PROJECTION = "projection.safetensors"
"""The projection of an adapter whose other weights are LoRA matrices."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model with many vectors a text, its settings, and the prompts it came with."""

    model: MultiVectorEncoder
    shape: Shape
    prompts: Mapping[str, str]


def is_multi(folder: Path) -> bool:
    """Say whether ``folder`` holds a model with many vectors a text: it brings a projection."""
    own = _json(folder / "config_sentence_transformers.json").get("model_type")
    architectures = _json(folder / "config.json").get("architectures") or []
    return own in {"MultiVectorEncoder", "ColBERT"} or "HF_ColBERT" in architectures


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def open_folder(
    folder: Path, *, name: str, device: str, dimension: int | None = None, seed: int = 0
) -> Opened:
    """Load a ColBERT checkpoint as it is, or put a new projection on any other encoder.

    :param dimension: floats of a token's vector; None takes the checkpoint's own, else 128.
    :param seed: decides a new projection, and nothing else.
    :raises UsageError: the checkpoint has another dimension, or is no transformer.
    """
    if is_multi(folder):
        return _checkpoint(folder, name, device, dimension)
    single = load_folder(folder, name=name, device=device)
    encoder = transformer(single)
    if encoder is None:
        raise UsageError(
            f"{name} makes no vectors of tokens in context: it has no transformer",
            mend="choose a transformer as --base",
        )
    model = _new(encoder, device, dimension or DIMENSION, seed)
    return Opened(model, Shape.fresh(model.tokenizer), marks(model.tokenizer))


def _checkpoint(folder: Path, name: str, device: str, dimension: int | None) -> Opened:
    check_folder(folder, name)
    try:
        with quiet():
            model = MultiVectorEncoder(
                str(folder),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs=SAFE,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise TuneError(f"base model {name}: cannot be loaded from {folder}: {error}") from error
    model.to(torch.float32)
    own = dense_of(model).out_features
    if dimension not in {None, own}:
        raise UsageError(
            f"token_dimension is {dimension}, and {name} has a projection to {own} already",
            mend="leave --token-dimension out, or choose a plain encoder as --base",
        )
    prompts = {role: model.prompts.get(role) or "" for role in ("query", "document")}
    return Opened(model, shape_of(model), {role: text for role, text in prompts.items() if text})


def _new(encoder: Transformer, device: str, dimension: int, seed: int) -> MultiVectorEncoder:
    width = encoder.get_embedding_dimension()
    dense = Dense(
        width,
        dimension,
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=torch.from_numpy(projection(width, dimension, seed=seed)),
        module_input_name="token_embeddings",
    )
    modules: list[torch.nn.Module] = [
        encoder,
        dense,
        MultiVectorMask(),
        Normalize("token_embeddings"),
    ]
    with quiet():
        return MultiVectorEncoder(modules=modules, device=device)


def dense_of(model: MultiVectorEncoder) -> Dense:
    """Return the projection to the vectors that are compared.

    :raises UsageError: there is none.
    """
    for module in reversed(list(model)):
        if isinstance(module, Dense):
            return module
    raise UsageError("this model has no projection of its token vectors")


def take(opened: Opened, facts: ModelFacts) -> None:
    """Have the model be what ``facts`` say: settings, lengths, prompts."""
    model = opened.model
    give(model, opened.shape.changed(facts.settings))
    encoder_of(model).document_length = facts.max_length
    model.prompts = {"query": "", "document": "", **facts.prompts}
    register(model.tokenizer, facts.prompts)


def facts_of(opened: Opened, *, max_length: int | None = None) -> ModelFacts:
    """Read what an opened model is; ``max_length`` (tokens of a document) cuts it."""
    encoder = encoder_of(opened.model)
    limit = min(int(encoder.max_seq_length or 1 << 20), 1 << 20)
    own = min(encoder.document_length or limit, limit)
    return ModelFacts(
        dimension=dense_of(opened.model).out_features,
        max_length=min(max_length, limit) if max_length else own,
        pooling="none",
        normalise=True,
        prompts=dict(opened.prompts),
        settings=opened.shape.settings(),
    )


def save_projection(model: MultiVectorEncoder, out: Path) -> None:
    """Write the projection beside an adapter of LoRA matrices."""
    weight = dense_of(model).linear.weight.detach().float().cpu().contiguous()
    save_file({"linear.weight": weight}, out / PROJECTION, metadata={"format": "pt"})


def load_projection(model: MultiVectorEncoder, adapter: Path) -> None:
    """Put the projection of an adapter in.

    :raises TuneError: it is missing, or has another shape.
    """
    path = adapter / PROJECTION
    if not path.is_file():
        raise TuneError(f"{adapter}: {PROJECTION} is missing, so it is no ColBERT adapter")
    weight = dense_of(model).linear.weight
    try:
        found = load_file(path)["linear.weight"]
    except (SafetensorError, KeyError) as error:
        raise TuneError(f"{path}: holds no projection: {error}") from error
    if found.shape != weight.shape:
        raise TuneError(f"{path}: is {tuple(found.shape)}, this base needs {tuple(weight.shape)}")
    with torch.no_grad():
        weight.copy_(found)
