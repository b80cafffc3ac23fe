"""A causal language model and its tokenizer from a folder, whole or in four bits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.interchange import quantised
from ragd_tune_mlx.recipe import CPU_HAS_IT, table
from ragd_tune_mlx.session import quiet

NO_LIMIT = 1 << 20
"""What a model without a limit has: more tokens than any memory holds."""
GROUP, BITS = 64, 4
FOUR_BITS = quantised.MLX
"""Groups of 64 weights, each with a scale and a bias of its own: mlx-lm's default."""


def config_of(folder: Path, name: str) -> dict[str, Any]:
    """Read a model's configuration.

    :raises NotInstalledError: the folder holds no model in safetensors.
    :raises UsageError: mlx-lm does not know the architecture.
    """
    config = table(folder / "config.json")
    if not config:
        raise NotInstalledError(f"base model {name}: {folder} holds no model (no config.json)")
    if not any(folder.glob("model*.safetensors")):
        raise NotInstalledError(
            f"base model {name}: holds no weights in safetensors",
            mend="choose a revision with model.safetensors, or convert it where you trust it",
        )
    if config.get("model_file"):
        raise UsageError(f"base model {name} needs code of its own: {config['model_file']}")
    return config


def load_tokenizer(folder: Path, name: str) -> Any:
    """Load the tokenizer; what pads is an end token where it has no padding of its own."""
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
    except (OSError, ValueError, KeyError) as error:
        raise TuneError(f"base model {name}: its tokenizer cannot be loaded: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: Path, name: str, *, four_bits: bool = False) -> nn.Module:
    """Load the weights, frozen and in evaluation mode, in float32 or in four bits.

    :raises UsageError: mlx-lm does not compute this architecture, or names its layers otherwise.
    """
    from mlx_lm.utils import load_model as load

    config = config_of(folder, name)
    try:
        model, _ = load(folder, model_config=positions(config), trust_remote_code=False)
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise UsageError(
            f"base model {name}: mlx-lm does not load it: {error}", mend=CPU_HAS_IT
        ) from error
    layers = len(model.layers)
    told = config.get("num_hidden_layers", layers)
    if layers != told:
        raise TuneError(f"base model {name}: has {layers} layers, and its configuration {told}")
    model.update(tree_map(_float32, model.parameters()))
    if four_bits and not is_quantised(model):
        nn.quantize(model, group_size=GROUP, bits=BITS, class_predicate=_can_be_quantised)
        if not is_quantised(model):
            raise UsageError(
                f"base model {name}: no layer of it could be held in four bits",
                mend="use --tuning lora",
            )
    model.freeze()
    model.eval()
    mx.eval(model.parameters())
    return model


def positions(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what mlx-lm has to be told of rotary positions.

    transformers 5 writes them as ``rope_parameters``. mlx-lm reads the older ``rope_theta`` and
    ``rope_scaling`` for some architectures, and takes a default where they are missing: a Qwen2
    would come out wrong without a word.
    """
    told = config.get("rope_parameters")
    if not isinstance(told, dict):
        return {}
    made: dict[str, Any] = {}
    if "rope_theta" in told and "rope_theta" not in config:
        made["rope_theta"] = told["rope_theta"]
    if told.get("rope_type", "default") != "default" and "rope_scaling" not in config:
        made["rope_scaling"] = {key: told[key] for key in told if key != "rope_theta"}
    return made


def _float32(value: mx.array) -> mx.array:
    halves = (mx.bfloat16, mx.float16)
    return value.astype(mx.float32) if value.dtype in halves else value


def _can_be_quantised(path: str, module: Any) -> bool:
    # Embeddings stay whole, as in QLoRA (Dettmers et al. 2023, arXiv 2305.14314).
    return isinstance(module, nn.Linear) and module.weight.shape[-1] % GROUP == 0


def is_quantised(model: nn.Module) -> bool:
    """Say whether any layer is held in few bits."""
    return any(isinstance(one, nn.QuantizedLinear) for one in model.modules())


def numbers(model: nn.Module) -> str:
    """Return the sha256 (hex) of all parameters: what an adapter on few bits belongs to."""
    made = hashlib.sha256()
    for name, value in sorted(tree_flatten(model.parameters())):
        made.update(f"{name}\0{value.dtype}\0{value.shape}\0".encode())
        made.update(bytes(memoryview(value)))
    return made.hexdigest()


def context(config: Mapping[str, Any], tokenizer: Any) -> int:
    """Return how many tokens prompt and answer may have together."""
    found = [config.get("max_position_embeddings"), tokenizer.model_max_length]
    return min([int(limit) for limit in found if limit] + [NO_LIMIT])


def end_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer."""
    for name in ("generation_config.json", "config.json"):
        told = table(folder / name).get("eos_token_id")
        if told is not None:
            return frozenset(told if isinstance(told, list) else [told])
    return frozenset() if tokenizer.eos_token_id is None else frozenset({tokenizer.eos_token_id})


def shared(module: Any) -> Any:
    """Return a model of its own that uses the arrays of ``module``: nothing writes to them."""
    if isinstance(module, nn.Module):
        made = module.__class__.__new__(module.__class__)
        made.__dict__.update(
            {k: set(v) if isinstance(v, set) else v for k, v in vars(module).items()}
        )
        for name, value in module.items():
            dict.__setitem__(made, name, shared(value))
        return made
    if isinstance(module, list):
        return [shared(one) for one in module]
    if type(module) is dict:
        return {name: shared(one) for name, one in module.items()}
    return module
