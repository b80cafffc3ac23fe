"""LoRA in PEFT's format: which layers, where they start, how they are written and merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ragd_tune.errors import TuneError
from ragd_tune.options import Value
from ragd_tune.plan import BaseModel
from ragd_tune.training.initial import lora_a
from ragd_tune.training.targets import choose
from ragd_tune.training.written import CONFIG, WEIGHTS, write_config


def targets(model: torch.nn.Module, wanted: Value) -> list[str]:
    """Return the full names of the linear layers that get LoRA matrices, sorted.

    :raises UsageError: no layer matches; names those that there are.
    """
    linear = [n for n, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    return choose(linear, wanted)


def begin(model: torch.nn.Module, seed: int) -> None:
    """Put the core's numbers into the new matrices: the same ones in every backend."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            matrices: Any = module.lora_A
            weight = matrices["default"].weight
            rank, width = weight.shape
            layer = name.removeprefix("base_model.model.")
            drawn = torch.from_numpy(lora_a(layer, rank=rank, width=width, seed=seed))
            with torch.no_grad():
                weight.copy_(drawn)


def save(wrapped: Any, out: Path, base: BaseModel, *, blend: float = 1.0) -> None:
    """Write PEFT's two files: the same bytes on any machine and in any process.

    :param blend: what a LoRA adapter adds to the base is written so many times as large.
    """
    out.mkdir(parents=True, exist_ok=True)
    tensors = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    kept = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
    if blend != 1.0:
        kept = {name: t * blend if ".lora_B." in name else t for name, t in kept.items()}
    save_file(dict(sorted(kept.items())), out / WEIGHTS, metadata={"format": "pt"})
    write_config(out, wrapped.peft_config["default"].to_dict(), base)


def put_on(model: Any, adapter: Path, *, merge: bool = True) -> Any:
    """Return ``model`` with the adapter in ``adapter``, merged into its weights or beside them.

    :raises TuneError: a tensor is missing, or one is left over: it was made for another base.
    """
    for name in (CONFIG, WEIGHTS):
        if not (adapter / name).is_file():
            raise TuneError(f"{adapter}: is no PEFT adapter: {name} is missing")
    config = PeftConfig.from_pretrained(str(adapter))
    if not isinstance(config, LoraConfig):
        raise TuneError(f"{adapter}: is {config.peft_type}, and only LoRA is loaded")
    config.base_model_name_or_path = None  # the core has compared fingerprints; names say less
    try:
        wrapped = get_peft_model(model, config)
        tensors = load_file(adapter / WEIGHTS)
        # PEFT would count tables of words that an adapter changes among its tensors, whole.
        own = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
        odd = sorted(set(own) ^ set(tensors))
        if odd:
            raise TuneError(
                f"{adapter}: does not fit this base ({odd[0]})", mend="look at its base"
            )
        set_peft_model_state_dict(wrapped, tensors)
        return wrapped.merge_and_unload() if merge else wrapped
    except (ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise TuneError(f"{adapter}: does not fit this base: {error}") from error
