"""What a model's folder says of itself: architecture, pooling, heads, prompts. It is JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.models.folder import Module, modules
from ragd_tune.plan import ModelFacts, Role

POOLINGS = ("mean", "cls", "max")
_LEGACY = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ROLES: dict[Role, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}
"""Names under which sentence-transformers looks for a role's prompt, first match first."""
UNLIMITED = 1 << 20
"""Stands for a tokenizer without a limit, which reports a number with 30 digits."""
CPU_HAS_IT = 'the backend cpu has it: --backend cpu (pip install "ragd-tune[cpu]")'


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A dense head behind the pooling; ``activation`` is the name of PyTorch's class."""

    place: str
    inputs: int
    outputs: int
    bias: bool
    activation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model computes a vector; ``config`` is transformers' ``config.json``."""

    folder: Path
    config: Mapping[str, Any]
    pooling: str
    dense: tuple[Dense, ...]
    normalises: bool
    lowercase: bool
    facts: ModelFacts


def read(folder: Path, *, name: str) -> Recipe:
    """Read the recipe of the model in ``folder``.

    A folder without ``modules.json`` (a plain transformers encoder) gets mean pooling and
    normalisation, which is what sentence-transformers' own models do.

    :raises NotInstalledError: there is no model in it.
    :raises UsageError: it has a part that this backend does not compute; names it.
    """
    if not (folder / "config.json").is_file():
        raise NotInstalledError(f"base model {name}: {folder} holds no model (no config.json)")
    config = table(folder / "config.json")
    plain = not (folder / "modules.json").is_file()
    parts = modules(folder)
    kinds = [part.type for part in parts]
    _check_order(kinds, name, plain=plain)
    pooling = "mean" if plain else _pooling(folder, parts[1], name)
    dense = tuple(_dense(folder, part, name) for part in parts if part.type == "Dense")
    settings = table(folder / "config_sentence_transformers.json")
    own = table(folder / "sentence_bert_config.json")
    normalises = plain or "Normalize" in kinds
    facts = ModelFacts(
        dimension=dense[-1].outputs if dense else int(config["hidden_size"]),
        max_length=length(folder, config, own),
        pooling=pooling,
        normalise=normalises or settings.get("similarity_fn_name") in {None, "cosine"},
        prompts=_prompts(settings),
    )
    return Recipe(
        folder=folder,
        config=config,
        pooling=pooling,
        dense=dense,
        normalises=normalises,
        lowercase=bool(own.get("do_lower_case")),
        facts=facts,
    )


def table(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``, or an empty one if there is no such file.

    :raises TuneError: it is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        mend = "fetch the base model again"
        raise TuneError(f"{path}: is not JSON: {error}", mend=mend) from error
    if not isinstance(value, dict):
        raise TuneError(f"{path}: is not a JSON object", mend="fetch the base model again")
    return value


def _check_order(kinds: list[str], name: str, *, plain: bool) -> None:
    shape = ["Transformer"] if plain else ["Transformer", "Pooling"]
    rest = kinds[len(shape) :]
    while rest and rest[0] == "Dense":
        rest = rest[1:]
    if kinds[: len(shape)] != shape or rest not in ([], ["Normalize"]):
        raise UsageError(
            f"base model {name}: the backend mlx computes Transformer, Pooling, Dense and "
            f"Normalize, in this order; this one is {', '.join(kinds)}",
            mend=CPU_HAS_IT,
        )


def _pooling(folder: Path, part: Module, name: str) -> str:
    config = table(folder / part.place / "config.json")
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _LEGACY.items() if config.get(key)] or ["mean"]
    found = [modes] if isinstance(modes, str) else list(modes)
    if len(found) != 1 or found[0] not in POOLINGS or config.get("include_prompt") is False:
        without = " without the prompt" if config.get("include_prompt") is False else ""
        raise UsageError(
            f"base model {name}: the backend mlx does not pool by {' + '.join(found)}{without}",
            mend=CPU_HAS_IT,
        )
    return str(found[0])


def _dense(folder: Path, part: Module, name: str) -> Dense:
    config = table(folder / part.place / "config.json")
    places = {config.get(f"module_{end}_name") for end in ("input", "output")}
    if config.get("use_residual") or not places <= {None, "sentence_embedding"}:
        raise UsageError(
            f"base model {name}: the backend mlx does not compute the head {part.place}",
            mend=CPU_HAS_IT,
        )
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    return Dense(
        place=part.place,
        inputs=int(config["in_features"]),
        outputs=int(config["out_features"]),
        bias=bool(config.get("bias", True)),
        activation=activation.rpartition(".")[2],
    )


def length(folder: Path, config: Mapping[str, Any], own: Mapping[str, Any]) -> int:
    """Return the longest text in tokens, as sentence-transformers finds it."""
    limit = own.get("max_seq_length")
    if limit is None:
        tokenizer = table(folder / "tokenizer_config.json").get("model_max_length") or UNLIMITED
        limit = min(int(tokenizer), int(config.get("max_position_embeddings", UNLIMITED)))
    return min(int(limit), UNLIMITED)


def _prompts(settings: Mapping[str, Any]) -> dict[str, str]:
    prompts = settings.get("prompts") or {}
    default = prompts.get(settings.get("default_prompt_name") or "", "")
    found: dict[str, str] = {}
    for role, names in _ROLES.items():
        own = [prompts[name] for name in names if prompts.get(name)]
        prompt = own[0] if own else default
        if prompt:
            found[role] = prompt
    return found
