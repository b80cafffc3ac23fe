"""The checkpoint layout of Stanford's ColBERT: what colbert-ai, RAGatouille and PyLate load.

One ``model.safetensors`` with the encoder under its own prefix and the projection as
``linear.weight``; ``config.json`` with the architecture ``HF_ColBERT``; a tokenizer that
transformers 4 can read; ``artifact.metadata`` with ColBERT's settings.
"""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

from ragd_tune.errors import UsageError
from ragd_tune.objectives.late import Shape
from ragd_tune.plan import ModelFacts
from ragd_tune_cpu.late.model import dense_of
from ragd_tune_cpu.late.shape import encoder_of
from ragd_tune_cpu.session import quiet

MEND = "export --format folder, which sentence-transformers loads, has room for it"
READ = ("bert", "roberta", "xlm-roberta", "deberta-v2", "electra", "distilbert", "camembert")
"""Architectures that colbert-ai wraps: it looks them up by ``model_type``."""


def export(model: MultiVectorEncoder, facts: ModelFacts, out: Path) -> list[Path]:
    """Write ``model`` as a Stanford checkpoint under ``out`` and return the files, sorted.

    :raises UsageError: the layout has no room for what this model is; says for what.
    """
    for reason in reasons(model, facts):
        raise UsageError(f"this model is no Stanford ColBERT checkpoint: {reason}", mend=MEND)
    out.mkdir(parents=True, exist_ok=True)
    _weights(model, out / "model.safetensors")
    _config(model, out / "config.json")
    _tokenizer(model.tokenizer, out)
    _write(out / "artifact.metadata", metadata(facts))
    return sorted(path for path in out.rglob("*") if path.is_file())


def reasons(model: MultiVectorEncoder, facts: ModelFacts) -> list[str]:
    """Return everything that the layout has no room for."""
    return [*_modules(model), *_settings(facts), *_marks(model.tokenizer, facts)]


def _modules(model: MultiVectorEncoder) -> list[str]:
    kinds = [type(module) for module in model]
    if kinds != [Transformer, Dense, MultiVectorMask, Normalize]:
        names = ", ".join(kind.__name__ for kind in kinds)
        return [f"it holds one transformer and one projection, and this model has {names}"]
    found = []
    dense = dense_of(model)
    if dense.linear.bias is not None:
        found.append("its projection has no bias, and this model's has one")
    if not isinstance(dense.activation_function, torch.nn.Identity):
        found.append("nothing follows its projection, and an activation follows this model's")
    kind = encoder_of(model).auto_model.config.model_type
    if kind not in READ:
        found.append(f"colbert-ai knows {', '.join(READ)}, and this base is {kind}")
    words = set(next(m for m in model if isinstance(m, MultiVectorMask)).skiplist_words)
    if words and not words <= set(string.punctuation):
        found.append("it skips all punctuation or nothing, and this model skips other words")
    return found


def _settings(facts: ModelFacts) -> list[str]:
    shape = Shape().changed(facts.settings)
    if shape.query_expansion:
        return []
    return ["its queries are always filled up with masks, and this model's are not"]


def _marks(tokenizer: Any, facts: ModelFacts) -> list[str]:
    found = []
    for role in ("query", "document"):
        token = facts.prompts.get(role, "").strip()
        if not token:
            found.append(f"it puts one token before every {role}, and this model puts none")
        elif tokenizer.tokenize(token) != [token]:
            found.append(
                f"it puts one token before every {role}, and {token!r} is "
                f"{len(tokenizer.tokenize(token))} of this vocabulary"
            )
    return found


def _weights(model: MultiVectorEncoder, path: Path) -> None:
    encoder = encoder_of(model).auto_model
    prefix = encoder.base_model_prefix
    tensors = {
        f"{prefix}.{name}": value.detach().float().cpu().contiguous().clone()
        for name, value in encoder.state_dict().items()
        if not name.endswith("position_ids")
    }
    weight = dense_of(model).linear.weight
    tensors["linear.weight"] = weight.detach().float().cpu().contiguous().clone()
    save_file(dict(sorted(tensors.items())), path, metadata={"format": "pt"})


def _config(model: MultiVectorEncoder, path: Path) -> None:
    config = encoder_of(model).auto_model.config.to_dict()
    for gone in ("_name_or_path", "dtype", "transformers_version"):
        config.pop(gone, None)
    _write(path, {**config, "architectures": ["HF_ColBERT"], "torch_dtype": "float32"})


def _tokenizer(tokenizer: Any, out: Path) -> None:
    """Write a tokenizer that transformers 4 and 5 read alike, without the last batch's cutting."""
    with quiet():
        tokenizer.save_pretrained(str(out))
    path = out / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for gone in ("is_local", "local_files_only", "backend", "name_or_path", "tokenizer_file"):
        config.pop(gone, None)
    if config.get("tokenizer_class") == "TokenizersBackend":  # transformers 5's name for it
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    extra = config.pop("extra_special_tokens", None)
    if extra:  # a list under transformers 5's name stops version 4; both know the old name
        config["additional_special_tokens"] = extra
    _write(path, config)
    whole = out / "tokenizer.json"
    raw = json.loads(whole.read_text(encoding="utf-8"))
    raw["truncation"] = raw["padding"] = None
    whole.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8", newline="\n")


def metadata(facts: ModelFacts) -> dict[str, object]:
    """Return ColBERT's settings; RAGatouille needs those of runs and indexes to be there too."""
    shape = Shape().changed(facts.settings)
    return {
        "query_token_id": facts.prompts["query"].strip(),
        "doc_token_id": facts.prompts["document"].strip(),
        "query_token": "[Q]",
        "doc_token": "[D]",
        "dim": facts.dimension,
        "similarity": "cosine",
        "interaction": "colbert",
        "query_maxlen": shape.query_length,
        "doc_maxlen": facts.max_length,
        "attend_to_mask_tokens": shape.expansion_attends,
        "mask_punctuation": shape.skip_punctuation,
        "nbits": 2,
        "root": ".ragatouille/",
        "experiment": "colbert",
        "index_root": None,
        "index_name": None,
        "avoid_fork_if_possible": True,
        "meta": {"version": "colbert-v0.4"},
    }


def _write(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
