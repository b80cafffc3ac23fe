"""PEFT's format: ``adapter_config.json`` and ``adapter_model.safetensors``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import RefusedAdapterError, TuneError
from ragd_tune.interchange import tensors
from ragd_tune.interchange.lora import Lora, Part

if TYPE_CHECKING:
    from ragd_tune.interchange.lora import Matrix

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
QUANTISED = "ragd_tune_quantised"
"""A note of ours in the weights' file, JSON: in the configuration PEFT would warn of it."""

_PREFIX = "base_model.model."
_LEAF = re.compile(
    r"(?P<layer>.+)\.lora_(?P<leaf>A|B|embedding_A|embedding_B|magnitude_vector)(\.default)?(\.weight)?"
)
_CANNOT = (
    ("modules_to_save", "whole layers beside the adapter (modules_to_save)"),
    ("trainable_token_indices", "single rows of an embedding (trainable_token_indices)"),
    ("target_parameters", "experts of a mixture (target_parameters)"),
    ("layer_replication", "layers that are run more than once (layer_replication)"),
    ("lora_bias", "biases of its own (lora_bias)"),
    ("alora_invocation_tokens", "a start that depends on the prompt (alora_invocation_tokens)"),
)
"""Keys that stand for something that two matrices for each layer cannot say."""


def read(folder: Path, *, whole: bool = False) -> Lora:
    """Read the adapter in ``folder``.

    Ranks and alphas of single layers, rank-stabilised scales, DoRA and embeddings are read; each
    layer ends with the scale that PEFT gives it.

    :param whole: read layers that were trained whole too (``modules_to_save``).
    :raises TuneError: a file is missing or damaged.
    :raises RefusedAdapterError: it holds something that does not cross; names it.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise TuneError(f"{folder}: is no PEFT adapter: {name} is missing")
    config = _config(folder / CONFIG)
    heads = tuple(config.get("modules_to_save") or ()) if whole else ()
    _check(folder, {**config, "modules_to_save": None} if whole else config)
    layers: dict[str, dict[str, Matrix]] = {}
    kept: dict[str, dict[str, Matrix]] = {}
    for name, value in tensors.read(folder / WEIGHTS).items():
        head = _head(name, heads)
        if head:
            kept.setdefault(head, {})[name.removeprefix(f"{_PREFIX}{head}.")] = value
            continue
        layer, leaf = _name(folder, name, value)
        layers.setdefault(layer, {})[leaf] = value
    parts = {layer: _part(folder, layer, found, config) for layer, found in layers.items()}
    if not parts:
        raise TuneError(f"{folder}: holds no LoRA matrices")
    return Lora(
        parts=parts,
        dropout=float(config.get("lora_dropout") or 0.0),
        base_name=str(config.get("base_model_name_or_path") or ""),
        task=config.get("task_type"),
        quantised=quantised(folder / WEIGHTS),
        whole=kept,
    )


def _head(name: str, heads: Sequence[str]) -> str:
    """Return the layer among ``heads`` that the tensor ``name`` is a parameter of, or nothing."""
    return next((head for head in heads if name.startswith(f"{_PREFIX}{head}.")), "")


def quantised(weights: Path) -> Mapping[str, object] | None:
    """Return what a file of weights says of the few bits that it was trained on."""
    told = tensors.notes(weights).get(QUANTISED)
    if told is None:
        return None
    value = json.loads(told)
    return value if isinstance(value, dict) else None


def note_of(adapter: Lora) -> dict[str, str]:
    """Return the note that :func:`quantised` reads; empty where there is nothing to say."""
    if adapter.quantised is None:
        return {}
    return {QUANTISED: json.dumps(dict(adapter.quantised), sort_keys=True)}


def _config(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TuneError(f"{path}: is not JSON: {error}", mend="fetch it again") from error
    if not isinstance(value, dict):
        raise TuneError(f"{path}: is not a JSON object", mend="fetch it again")
    return value


def check_type(folder: Path) -> None:
    """Refuse an adapter that is not LoRA, before a library guesses what it is.

    :raises RefusedAdapterError: names what it is.
    """
    _check_type(folder, _config(folder / CONFIG))


def _check_type(folder: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise RefusedAdapterError(f"{folder}: is {kind}, and only LoRA crosses between backends")


def _check(folder: Path, config: Mapping[str, Any]) -> None:
    _check_type(folder, config)
    for key, meaning in _CANNOT:
        if config.get(key):
            raise _does_not_cross(folder, meaning)
    if config.get("bias", "none") != "none":
        raise _does_not_cross(folder, f"trained biases (bias={config['bias']})")


def _does_not_cross(folder: Path, meaning: str) -> RefusedAdapterError:
    return RefusedAdapterError(
        f"{folder}: holds {meaning}, which do not cross between backends",
        mend="train it again without them, or use it where it was made",
    )


def _name(folder: Path, name: str, value: Matrix) -> tuple[str, str]:
    found = _LEAF.fullmatch(name.removeprefix(_PREFIX))
    if found is None or not name.startswith(_PREFIX):
        if ".modules_to_save." in name or ".original_module." in name:
            raise _does_not_cross(folder, f"whole layers ({name})")
        raise RefusedAdapterError(f"{folder}: {name} is no LoRA matrix, and would be lost")
    if value.ndim > 2:
        raise _does_not_cross(folder, f"experts of a mixture ({name})")
    return found["layer"], found["leaf"]


def _part(folder: Path, layer: str, found: Mapping[str, Matrix], config: Mapping[str, Any]) -> Part:
    embedding = "embedding_A" in found
    ends = ("embedding_A", "embedding_B") if embedding else ("A", "B")
    missing = [end for end in ends if end not in found]
    if missing:
        raise TuneError(f"{folder}: {layer} has no lora_{missing[0]}", mend="fetch it again")
    a, b = (found[end] for end in ends)
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
        raise TuneError(f"{folder}: the matrices of {layer} do not fit each other")
    if config.get("fan_in_fan_out"):
        raise _does_not_cross(folder, "weights that are stored transposed (fan_in_fan_out)")
    return Part(
        a=a,
        b=b,
        scale=scale(config, layer, rank=int(a.shape[0])),
        magnitude=found.get("magnitude_vector"),
        embedding=embedding,
    )


def scale(config: Mapping[str, Any], layer: str, *, rank: int) -> float:
    """Return what PEFT multiplies the update of ``layer`` by: alpha / r, or alpha / √r.

    The root is rank-stabilised LoRA's (Kalajdzievski 2023, arXiv 2312.03732).
    """
    alpha = float(_of_layer(config.get("alpha_pattern"), layer, config.get("lora_alpha") or 8))
    told = int(_of_layer(config.get("rank_pattern"), layer, config.get("r") or 8))
    if told != rank:
        raise TuneError(f"{layer}: its configuration says rank {told}, its matrices {rank}")
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _of_layer(pattern: object, layer: str, default: Any) -> Any:
    """Return what PEFT's pattern says of ``layer``: the first key that ends its name."""
    for key, value in (pattern if isinstance(pattern, dict) else {}).items():
        if re.match(rf"(.*\.)?({key})$", layer):
            return value
    return default


def write(adapter: Lora, folder: Path) -> list[Path]:
    """Write ``adapter`` into ``folder`` and return the files: equal adapters give equal bytes.

    The commonest rank and alpha become the adapter's, and layers that differ are named.
    """
    made: dict[str, Matrix] = {}
    for layer, part in adapter.parts.items():
        names = ("embedding_A", "embedding_B") if part.embedding else ("A.weight", "B.weight")
        for name, value in zip(names, (part.a, part.b), strict=True):
            made[f"{_PREFIX}{layer}.lora_{name}"] = value
        if part.magnitude is not None:
            made[f"{_PREFIX}{layer}.lora_magnitude_vector"] = part.magnitude
    for layer, values in adapter.whole.items():
        made |= {f"{_PREFIX}{layer}.{name}": value for name, value in values.items()}
    tensors.write(folder / WEIGHTS, made, notes=note_of(adapter))
    text = json.dumps(configuration(adapter), indent=2, sort_keys=True, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8", newline="\n")
    return [folder / CONFIG, folder / WEIGHTS]


def configuration(adapter: Lora) -> dict[str, object]:
    """Return the configuration that gives each layer the rank and the scale that it has."""
    ranks = {layer: part.rank for layer, part in adapter.parts.items()}
    alphas = {layer: _alpha(part) for layer, part in adapter.parts.items()}
    rank, alpha = _commonest(ranks.values()), _commonest(alphas.values())
    return {
        "alpha_pattern": _unlike(alphas, alpha),
        "base_model_name_or_path": adapter.base_name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": alpha,
        "lora_dropout": adapter.dropout,
        "modules_to_save": sorted(adapter.whole) or None,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": _unlike(ranks, rank),
        "target_modules": sorted(adapter.parts),
        "task_type": adapter.task,
        "use_dora": adapter.dora,
        "use_rslora": False,
    }


def _alpha(part: Part) -> float | int:
    alpha = part.scale * part.rank
    near = round(alpha)
    return near if near / part.rank == part.scale else alpha


def _commonest(values: Any) -> Any:
    found = sorted(values)
    return max(dict.fromkeys(found), key=found.count)


def _unlike(values: Mapping[str, Any], usual: Any) -> dict[str, Any]:
    # Keys are patterns of names' ends: "^" keeps one layer's from matching another's.
    return {
        f"^{re.escape(layer)}": value for layer, value in sorted(values.items()) if value != usual
    }
