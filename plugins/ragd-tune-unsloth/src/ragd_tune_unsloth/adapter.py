"""LoRA in PEFT's format: which layers, where they start, how they are written and merged."""

from __future__ import annotations

import json
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

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.options import Value
from ragd_tune.plan import BaseModel
from ragd_tune.training.initial import lora_a

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
ALL = "all-linear"
HEADS = {"pooler", "classifier", "score", "lm_head", "cls"}
"""Layers that ``all-linear`` leaves out: no pooled vector passes through them, or all tokens do."""

_WRITTEN = (
    *("peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "target_modules", "bias"),
    *("fan_in_fan_out", "init_lora_weights", "modules_to_save", "use_dora", "use_rslora"),
)
"""What decides a LoRA adapter. PEFT's other keys grow with its version and are at defaults."""


def targets(model: torch.nn.Module, wanted: Value) -> list[str]:
    """Return the full names of the linear layers that get LoRA matrices, sorted.

    :raises UsageError: no layer matches; names those that there are.
    """
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not HEADS & set(name.split("."))
    ]
    assert isinstance(wanted, tuple)
    ends = tuple(str(item) for item in wanted)
    if ALL in ends:
        return sorted(linear)
    found = [n for n in linear if any(n == end or n.endswith(f".{end}") for end in ends)]
    idle = [end for end in ends if not any(n == end or n.endswith(f".{end}") for n in linear)]
    if idle or not found:
        there = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
        raise UsageError(
            f"lora_targets: no linear layer is called {', '.join(idle) or ', '.join(ends)}",
            mend=f"this base has {there}; {ALL} takes them all",
        )
    return sorted(found)


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


def save(wrapped: Any, out: Path, base: BaseModel) -> None:
    """Write PEFT's two files: the same bytes on any machine and in any process."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = get_peft_model_state_dict(wrapped)
    kept = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(dict(sorted(kept.items())), out / WEIGHTS, metadata={"format": "pt"})
    config = {key: wrapped.peft_config["default"].to_dict().get(key) for key in _WRITTEN}
    config |= {"base_model_name_or_path": portable_name(base), "inference_mode": True}
    text = json.dumps(_plain(config), indent=2, sort_keys=True, ensure_ascii=False)
    (out / CONFIG).write_text(text + "\n", encoding="utf-8", newline="\n")


def portable_name(base: BaseModel) -> str:
    """Return the base's name if it means the same on another machine, else an empty text."""
    is_place = Path(base.name).is_absolute() or base.source == "path" or "\\" in base.name
    return "" if is_place or base.name.startswith((".", "~")) else base.name


def _plain(value: Any) -> Any:
    """Return JSON's types; a set becomes a sorted list, since a set has no order to repeat."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return getattr(value, "value", value)
    return str(value)


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
        odd = sorted(set(get_peft_model_state_dict(wrapped)) ^ set(tensors))
        if odd:
            raise TuneError(
                f"{adapter}: does not fit this base ({odd[0]})", mend="look at its base"
            )
        set_peft_model_state_dict(wrapped, tensors)
        return wrapped.merge_and_unload() if merge else wrapped
    except (ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise TuneError(f"{adapter}: does not fit this base: {error}") from error
