"""An adapter on its base again: beside the weights, or merged into them in full precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from ragd_tune.errors import TuneError
from ragd_tune.interchange.peft import check_type
from ragd_tune.training.written import CONFIG, WEIGHTS
from ragd_tune_cpu.lm.base import load_model
from ragd_tune_cpu.session import quiet


def put_on(model: Any, adapter: Path, *, merge: bool) -> Any:
    """Return ``model`` with the adapter in ``adapter``, merged into its weights or beside them.

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
            wrapped: Any = get_peft_model(model, config)
            tensors = load_file(adapter / WEIGHTS)
            odd = sorted(set(get_peft_model_state_dict(wrapped)) ^ set(tensors))
            if odd:
                mend = "look at its base"
                raise TuneError(f"{adapter}: does not fit this base ({odd[0]})", mend=mend)
            set_peft_model_state_dict(wrapped, tensors)
            made = wrapped.merge_and_unload() if merge else wrapped
    except (ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise TuneError(f"{adapter}: does not fit this base: {error}") from error
    return made.eval()


def merged(base: Path, name: str, adapter: Path | None) -> Any:
    """Return the base in float32 on the CPU, unquantised, with ``adapter`` merged into it.

    A merge into four-bit weights would round the update away, and one into 16 bits part of it.
    """
    model = load_model(base, name=name, device="cpu", dtype=torch.float32, four_bits=None)
    return model if adapter is None else put_on(model, adapter, merge=True)
