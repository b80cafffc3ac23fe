"""Loading a causal language model and its tokenizer from a folder, whole or in four bits."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.training.facts import limit
from ragd_tune_cpu.base import check_folder
from ragd_tune_cpu.session import quiet

_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def config_of(folder: Path, name: str) -> Any:
    """Read a model's configuration.

    :raises NotInstalledError: the folder holds no model.
    :raises UsageError: it needs code of its own, or is quantised already.
    """
    check_folder(folder, name)
    try:
        config = AutoConfig.from_pretrained(str(folder), **_LOCAL)
    except (OSError, ValueError, KeyError) as error:
        raise TuneError(f"base model {name}: cannot be read from {folder}: {error}") from error
    found = getattr(config, "quantization_config", None)
    if found:
        method = found.get("quant_method", "?") if isinstance(found, dict) else found.quant_method
        raise UsageError(
            f"base model {name} is quantised already ({method})",
            mend="take the unquantised one; --tuning qlora quantises it while it is loaded",
        )
    return config


def load_tokenizer(folder: Path, name: str) -> Any:
    """Load the tokenizer; what pads is an end token where it has no padding of its own."""
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), **_LOCAL)
    except (OSError, ValueError, KeyError) as error:
        raise TuneError(f"base model {name}: its tokenizer cannot be loaded: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    folder: Path, *, name: str, device: str, dtype: torch.dtype, four_bits: torch.dtype | None
) -> Any:
    """Load the weights as ``dtype``, in evaluation mode.

    :param four_bits: hold the linear layers as NF4 with double quantisation (Dettmers et al. 2023,
        arXiv 2305.14314) and compute in this type; None holds them as they are.
    :raises NotInstalledError: four bits without bitsandbytes.
    """
    config_of(folder, name)
    more: dict[str, Any] = {"dtype": dtype}
    if four_bits is not None:
        more = {"dtype": dtype, "quantization_config": _nf4(four_bits), "device_map": device}
    try:
        with quiet():
            model = AutoModelForCausalLM.from_pretrained(
                str(folder), use_safetensors=True, **_LOCAL, **more
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise TuneError(f"base model {name}: cannot be loaded from {folder}: {error}") from error
    model.generation_config.do_sample = False
    placed: Any = model if four_bits is not None else model.to(device)  # type: ignore[arg-type]
    if four_bits is not None:
        _keep_exact(placed)
    return placed.eval()


def _keep_exact(model: Any) -> None:
    """Keep four-bit layers from being packed anew, with scales in 16 bits, in evaluation mode.

    bitsandbytes does that on CPUs for speed. A look at the held-out loss would so change the base
    under the adapter in training, and a loaded adapter would answer by another base.
    """
    from bitsandbytes import nn

    for module in model.modules():
        if isinstance(module, nn.Linear4bit):
            module.train(True)
            setattr(module, "train", partial(_unmoved, module))  # noqa: B010 - of this layer only


def _unmoved(layer: Any, mode: bool = True) -> Any:
    return layer


def _nf4(compute: torch.dtype) -> Any:
    if find_spec("bitsandbytes") is None:
        raise NotInstalledError(
            "four-bit models need bitsandbytes", mend='pip install "ragd-tune-cpu[qlora]"'
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )


def context(config: Any, tokenizer: Any) -> int:
    """Return how many tokens prompt and answer may have together."""
    return limit(getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
