"""Loading a base model from a folder, and refusing what would run code or unpickle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.base import BaseModel as Network
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.plan import ModelFacts
from ragd_tune.training import facts
from ragd_tune_cpu.session import quiet


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that is no model, needs code of its own, or has only pickled weights.

    :raises NotInstalledError: there is no model in it.
    :raises UsageError: it needs remote code, or unpickling; says which file asks for it.
    """
    if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
        raise NotInstalledError(f"base model {name}: {folder} holds no model (no config.json)")
    mend = "choose a base whose architecture transformers carries itself"
    for file, reason in _code(folder):
        raise UsageError(f"base model {name} needs code of its own: {file} {reason}", mend=mend)
    for place in (folder, *(p for p in folder.iterdir() if p.is_dir())):
        pickled = [p.name for p in place.glob("*.bin") if p.name.startswith("pytorch_model")]
        if pickled and not any(place.glob("*.safetensors")):
            raise UsageError(
                f"base model {name} has its weights only as a pickle ({pickled[0]}), "
                "which runs code when it is read",
                mend="choose a revision with model.safetensors, or convert it where you trust it",
            )


def _code(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each file that names code which the libraries do not carry."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    modules = _json(folder / "modules.json")
    for module in modules if isinstance(modules, list) else []:
        kind = module.get("type", "") if isinstance(module, dict) else ""
        if not str(kind).startswith("sentence_transformers."):
            yield "modules.json", f"names the module {kind}"
    for path in sorted(folder.rglob("config.json")):
        config = _json(path)
        if not isinstance(config, dict) or "auto_map" not in config:
            continue
        # transformers prefers its own class of that type over the one that auto_map names
        if config.get("model_type") not in CONFIG_MAPPING_NAMES:
            kind = config.get("model_type", "an unnamed architecture")
            yield path.relative_to(folder).as_posix(), f"maps {kind} to {config['auto_map']}"


def _json(path: Path) -> object:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        mend = "fetch the base model again"
        raise TuneError(f"{path}: is not JSON: {error}", mend=mend) from error


def load_folder(folder: Path, *, name: str, device: str) -> SentenceTransformer:
    """Load a model folder in float32, without network and without code of its own.

    A folder without ``modules.json`` (a plain transformers encoder) gets mean pooling and
    normalisation, which is what sentence-transformers' own models do.
    """
    check_folder(folder, name)
    try:
        with quiet():
            if (folder / "modules.json").is_file():
                return SentenceTransformer(
                    str(folder),
                    device=device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs=SAFE,
                )
            return _plain(folder, device)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise TuneError(f"base model {name}: cannot be loaded from {folder}: {error}") from error


SAFE = {"dtype": torch.float32, "use_safetensors": True}
"""How transformers loads weights: in float32, and never from a pickle."""


def _plain(folder: Path, device: str) -> SentenceTransformer:
    local = {"local_files_only": True, "trust_remote_code": False}
    encoder = Transformer(
        str(folder), model_kwargs={**SAFE, **local}, processor_kwargs=local, config_kwargs=local
    )
    modules = [encoder, Pooling(encoder.get_embedding_dimension(), "mean"), Normalize()]
    return SentenceTransformer(modules=modules, device=device)


def transformer(model: Network) -> Transformer | None:
    """Return the transformer in front, or None where there is none (static embeddings)."""
    first = model[0]
    return first if isinstance(first, Transformer) else None


def facts_of(model: SentenceTransformer) -> ModelFacts:
    """Read what a loaded model is."""
    dimension = model.get_embedding_dimension()
    assert dimension is not None
    normalised = any(isinstance(module, Normalize) for module in model)
    return ModelFacts(
        dimension=dimension,
        max_length=facts.limit(model.max_seq_length),
        pooling=_pooling(model),
        normalise=normalised or model.similarity_fn_name == "cosine",
        prompts=facts.by_role(model.prompts, model.default_prompt_name),
    )


def _pooling(model: SentenceTransformer) -> str:
    for module in model:
        if isinstance(module, Pooling):
            mode = module.pooling_mode
            return mode if isinstance(mode, str) else "+".join(mode)
    return ""
