"""Low-rank matrices in a language model: LoRA, DoRA, and both over four bits."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer

from ragd_tune.errors import UsageError
from ragd_tune.plan import TrainPlan
from ragd_tune.training.initial import lora_a
from ragd_tune_cpu.lora import targets
from ragd_tune_cpu.session import quiet


def add(model: Any, plan: TrainPlan) -> Any:
    """Put the matrices of ``plan`` into ``model`` and freeze the rest; return PEFT's wrapper.

    :raises UsageError: no layer matches ``lora_targets``; names those that there are.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    config = LoraConfig(
        r=plan.integer("lora_rank"),
        lora_alpha=plan.number("lora_alpha"),  # type: ignore[arg-type]
        lora_dropout=plan.number("lora_dropout"),
        target_modules=targets(model, plan.options["lora_targets"]),
        bias="none",
        task_type="CAUSAL_LM",
        use_dora=plan.tuning == "dora",
    )
    with quiet():
        wrapped = get_peft_model(model, config)
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            matrices: Any = module.lora_A
            weight = matrices["default"].weight
            rank, width = weight.shape
            drawn = lora_a(name, rank=rank, width=width, seed=plan.seed)
            with torch.no_grad():
                weight.copy_(torch.from_numpy(drawn))
    return wrapped


def check_four_bits(model: Any, name: str) -> None:
    """Refuse a four-bit base that cannot be trained on, before it makes NaN.

    :raises UsageError: nothing was quantised, or not as NF4; a scale is no number; or it is
        computed in float16, whose range gradients leave.
    """
    from bitsandbytes import nn

    layers = [(key, one) for key, one in model.named_modules() if isinstance(one, nn.Linear4bit)]
    if not layers:
        raise UsageError(
            f"base model {name}: no layer of it could be held in four bits",
            mend="use --tuning lora",
        )
    for key, layer in layers:
        state: Any = getattr(layer.weight, "quant_state", None)
        wrong = _wrong(layer, state)
        if wrong:
            raise UsageError(
                f"base model {name}: {key} is misconfigured for four bits: {wrong}",
                mend="use --tuning lora, or another base",
            )


def _wrong(layer: Any, state: Any) -> str:
    if state is None:
        return "it was not quantised"
    if state.quant_type != "nf4":
        return f"its type is {state.quant_type}, not nf4"
    if layer.compute_dtype == torch.float16:
        return "it is computed in float16"
    if state.shape[-1] % state.blocksize:
        return f"its width of {state.shape[-1]} is no multiple of {state.blocksize}"
    scales = state.state2.absmax if state.nested else state.absmax
    if not bool(torch.isfinite(scales).all()):
        return "its scales are no numbers: the base's weights are not all finite"
    return ""
