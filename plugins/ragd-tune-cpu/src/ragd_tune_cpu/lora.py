"""LoRA on an encoder: which layers, how it is written, how it is merged back. PEFT's format."""

from __future__ import annotations

from collections.abc import Sequence
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
from sentence_transformers.base import BaseModel as Network

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.interchange.peft import check_type
from ragd_tune.options import Value
from ragd_tune.plan import BaseModel, TrainPlan
from ragd_tune.training.initial import lora_a
from ragd_tune.training.targets import choose
from ragd_tune.training.written import CONFIG, WEIGHTS, write_config
from ragd_tune_cpu.base import transformer
from ragd_tune_cpu.session import quiet


def add(model: Network, plan: TrainPlan, *, heads: Sequence[str] = ()) -> Any:
    """Put LoRA matrices into ``model`` and freeze the rest; return PEFT's wrapper of it.

    The layers of ``model`` are replaced in place, so that it goes on being used as it is.

    :param heads: full names of modules that are trained and saved whole, as a classifier.
    :raises UsageError: no layer matches ``lora_targets``; names those that there are.
    """
    inner = _encoder(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    config = LoraConfig(
        r=plan.integer("lora_rank"),
        lora_alpha=plan.number("lora_alpha"),  # type: ignore[arg-type]
        lora_dropout=plan.number("lora_dropout"),
        target_modules=targets(inner, plan.options["lora_targets"], heads=heads),
        modules_to_save=list(heads) or None,
        bias="none",
        task_type="SEQ_CLS" if heads else "FEATURE_EXTRACTION",
    )
    with quiet():
        wrapped = get_peft_model(inner, config)
    config.modules_to_save = list(heads) or None  # PEFT adds names that this model may not have
    _start(inner, plan.seed)
    return wrapped


def _start(inner: torch.nn.Module, seed: int) -> None:
    """Put the core's numbers into the new matrices: the same ones in every backend."""
    for name, module in inner.named_modules():
        if isinstance(module, LoraLayer):
            matrices: Any = module.lora_A
            weight = matrices["default"].weight
            rank, width = weight.shape
            drawn = lora_a(name, rank=rank, width=width, seed=seed)
            with torch.no_grad():
                weight.copy_(torch.from_numpy(drawn))


def _encoder(model: Network) -> torch.nn.Module:
    first = transformer(model)
    if first is None:
        raise UsageError(
            "this base has no transformer layers that LoRA could change",
            mend="use --tuning full",
        )
    inner: torch.nn.Module = first.auto_model
    return inner


def targets(encoder: torch.nn.Module, wanted: Value, *, heads: Sequence[str] = ()) -> list[str]:
    """Return the full names of the linear layers that get LoRA matrices, sorted.

    Those inside of ``heads`` get none: they are trained whole. A head reads what a pooler gives,
    so that a pooler is idle only without one.
    """
    linear = [n for n, module in encoder.named_modules() if isinstance(module, torch.nn.Linear)]
    if not heads:
        return choose(linear, wanted)
    inside = tuple(f"{head}." for head in heads)
    return choose([n for n in linear if not f"{n}.".startswith(inside)], wanted, idle=frozenset())


def save(wrapped: Any, out: Path, base: BaseModel, *, blend: float = 1.0) -> None:
    """Write PEFT's two files: the same bytes on any machine and in any process.

    :param blend: what the adapter adds to the base is written so many times as large. What is
        added is ``B @ A`` times a constant, so that B alone is scaled.
    """
    out.mkdir(parents=True, exist_ok=True)
    tensors = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    kept = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
    if blend != 1.0:
        kept = {name: t * blend if ".lora_B." in name else t for name, t in kept.items()}
    save_file(dict(sorted(kept.items())), out / WEIGHTS, metadata={"format": "pt"})
    write_config(out, wrapped.peft_config["default"].to_dict(), base)


def merge(model: Network, adapter: Path) -> None:
    """Add the adapter in ``adapter`` to the weights of ``model``; raises as :func:`put`."""
    put(model, adapter).merge_and_unload()


def put(model: Network, adapter: Path) -> Any:
    """Put the adapter in ``adapter`` on the encoder of ``model``; as :func:`beside`."""
    return beside(_encoder(model), adapter)


def beside(module: Any, adapter: Path) -> Any:
    """Put the adapter in ``adapter`` beside the weights of ``module``; return PEFT's wrapper.

    :raises TuneError: a tensor is missing, or one is left over: it was made for another base.
    """
    for name in (CONFIG, WEIGHTS):
        if not (adapter / name).is_file():
            raise TuneError(f"{adapter}: is no PEFT adapter: {name} is missing")
    check_type(adapter)
    config = PeftConfig.from_pretrained(str(adapter))
    assert isinstance(config, LoraConfig)
    config.base_model_name_or_path = None  # the core has compared fingerprints; names say less
    try:
        with quiet():
            wrapped: Any = get_peft_model(module, config)
            tensors = load_file(adapter / WEIGHTS)
            # PEFT would count tables of words that an adapter changes among its tensors, whole.
            own = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
            odd = sorted(set(own) ^ set(tensors))
            if odd:
                mend = "look at its base"
                raise TuneError(f"{adapter}: does not fit this base ({odd[0]})", mend=mend)
            set_peft_model_state_dict(wrapped, tensors)
    except (ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise TuneError(f"{adapter}: does not fit this base: {error}") from error
    return wrapped
