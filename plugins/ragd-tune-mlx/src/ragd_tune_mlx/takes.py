"""Which bases this backend computes, told from their small files: MLX is not imported for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.models.folder import modules
from ragd_tune.plan import BaseModel
from ragd_tune.training.literals import home, literal
from ragd_tune_mlx.recipe import CPU_HAS_IT, read, table

FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})
"""Architectures whose positions start behind the index of the padding."""
ARCHITECTURES = frozenset({"bert"} | FROM_PADDING)
ACTIVATIONS = frozenset({"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"})
OTHERS = frozenset({"modernbert"})
"""Architectures whose encoder is that of mlx-embeddings, which is an extra of its own."""
ENGINE = "mlx_embeddings"
EXTRA = 'pip install "ragd-tune[mlx-embeddings]" (GPL-3.0)'
HEADS = frozenset({"Identity", "Tanh", "ReLU", "Sigmoid"})
"""Activations of a dense head, by the names of PyTorch's classes."""
_ANOTHER = "choose an encoder as BERT, or a trained reranker, as --base"


def unfit(base: BaseModel, objective: str) -> str:
    """Say why this backend does not compute ``base`` for ``objective``; nothing if it does.

    What is damaged or missing is left to loading, which says so by name.
    """
    try:
        _CHECKS[objective](base.path, base.name)
    except UsageError as error:
        return error.message
    except (TuneError, OSError, ValueError, KeyError, TypeError):
        return ""
    return ""


def check(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that the encoders of this package would compute wrongly.

    :raises UsageError: names the setting.
    """
    kind = config.get("model_type")
    wrong = ""
    if kind not in ARCHITECTURES:
        wrong = f"the architecture {kind}"
    elif config.get("position_embedding_type", "absolute") != "absolute":
        wrong = f"positions that are {config['position_embedding_type']}"
    elif config.get("hidden_act", "gelu") not in ACTIVATIONS:
        wrong = f"the activation {config['hidden_act']}"
    elif config.get("is_decoder"):
        wrong = "a decoder"
    if wrong:
        raise UsageError(f"the backend mlx does not compute {wrong}", mend=CPU_HAS_IT)


def check_encoder(config: Mapping[str, Any]) -> None:
    """Refuse a configuration for which there is no encoder here.

    :raises UsageError: names the setting, or the extra that has the architecture.
    """
    kind = config.get("model_type")
    if kind not in OTHERS:
        check(config)
        return
    if find_spec(ENGINE) is None:
        raise UsageError(
            f"the backend mlx computes the architecture {kind} with an extra alone: {EXTRA}",
            mend=f"{EXTRA}; or {CPU_HAS_IT}",
        )
    every = int(config.get("global_attn_every_n_layers", 3))
    count = int(config["num_hidden_layers"])
    pattern = [f"{'sliding' if number % every else 'full'}_attention" for number in range(count)]
    scaled = any(
        one.get("rope_type", "default") != "default" for one in _rope(config).values() if one
    )
    wrong = ""
    if config.get("hidden_activation", "gelu") not in ACTIVATIONS:
        wrong = f"the activation {config['hidden_activation']}"
    elif (config.get("layer_types") or pattern) != pattern:
        wrong = "layers whose attention is of another order"
    elif scaled or config.get("rope_scaling"):
        wrong = "scaled positions"
    if wrong:
        raise UsageError(f"the backend mlx does not compute {wrong} in {kind}", mend=CPU_HAS_IT)


def _rope(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = config.get("rope_parameters")
    return found if isinstance(found, dict) else {}


def rotary(config: Mapping[str, Any]) -> dict[str, float]:
    """Return what mlx-embeddings has to be told of a ModernBERT's rotary positions.

    transformers 5 writes them as ``rope_parameters``; without the older names it takes a default.
    """
    names = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
    return {
        names[kind]: float(one["rope_theta"])
        for kind, one in _rope(config).items()
        if kind in names and one.get("rope_theta")
    }


def check_head(activation: str) -> None:
    """Refuse a dense head with an activation that is not computed.

    :raises UsageError: names it.
    """
    if activation not in HEADS:
        raise UsageError(
            f"the backend mlx does not compute the activation {activation}", mend=CPU_HAS_IT
        )


def _config(folder: Path) -> dict[str, Any]:
    found = table(folder / "config.json")
    if not found:
        raise NotInstalledError(f"{folder} holds no model")
    return found


def _embedder(folder: Path, name: str) -> None:
    found = read(folder, name=name)
    check_encoder(found.config)
    for head in found.dense:
        check_head(head.activation)


def check_late(folder: Path, config: Mapping[str, Any], name: str) -> None:
    """Refuse a base that no new projection goes on: a ColBERT checkpoint has one already.

    :raises UsageError: it is one, another architecture, or has no transformer in front.
    """
    own = table(folder / "config_sentence_transformers.json").get("model_type")
    made_for = config.get("architectures") or ()
    if own in {"MultiVectorEncoder", "ColBERT"} or "HF_ColBERT" in made_for:
        raise UsageError(
            f"base model {name} is a ColBERT checkpoint, which the backend mlx does not train on",
            mend=CPU_HAS_IT,
        )
    check(config)
    first = modules(folder)[0]
    if first.type != "Transformer" or first.place:
        raise UsageError(
            f"base model {name}: the backend mlx finds no transformer in front of it",
            mend=CPU_HAS_IT,
        )


def _late(folder: Path, name: str) -> None:
    check_late(folder, _config(folder), name)


def check_reranker(config: Mapping[str, Any], name: str) -> None:
    """Refuse a base that no reranker with one score is made of.

    :raises UsageError: says what it is.
    """
    kind = str((config.get("architectures") or [""])[0])
    labels = len(config.get("id2label") or {"": ""})
    if kind.endswith("ForCausalLM"):
        raise UsageError(
            f"base model {name} is a language model ({kind}); rerankers made of those are not "
            "trained here",
            mend=_ANOTHER,
        )
    if kind.endswith("ForSequenceClassification") and labels > 1:
        raise UsageError(
            f"base model {name} tells {labels} classes apart, and a reranker gives one score",
            mend=_ANOTHER,
        )
    check(config)


def _reranker(folder: Path, name: str) -> None:
    place = next((part.place for part in modules(folder) if part.type == "Transformer"), "")
    check_reranker(_config(folder / place), name)


def _language(folder: Path, name: str) -> None:
    kind = _config(folder).get("model_type")
    known = _languages()
    if known and kind not in known:
        raise UsageError(
            f"base model {name}: mlx-lm has no architecture {kind}",
            mend=CPU_HAS_IT,
        )


@lru_cache(maxsize=1)
def _languages() -> frozenset[str]:
    """Return the architectures that mlx-lm knows, read from its files; none if they moved.

    Each has a module, and ``MODEL_REMAPPING`` sends others to one of those.
    """
    folder = home("mlx_lm")
    own = {path.stem for path in (folder / "models").glob("*.py")} if folder else set()
    others = literal("mlx_lm", "utils.py", "MODEL_REMAPPING")
    return frozenset(own | set(others)) if own and isinstance(others, dict) else frozenset()


_CHECKS: Mapping[str, Callable[[Path, str], None]] = {
    "causal_lm": _language,
    "contrastive": _embedder,
    "late_interaction": _late,
    "relevance": _reranker,
}
