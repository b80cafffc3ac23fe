"""What a model is, whatever its files look like: fingerprints and the ids of vector spaces.

A fingerprint covers the tensors (name, dtype, shape, bytes), the tokenizer, the modules with
their settings (pooling, lengths) and the prompts. It does not change with sharding, the order of
files, tensors or keys, with metadata, versions of libraries, or the place of the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ragd_tune.errors import RefusedAdapterError, TuneError
from ragd_tune.models import cache, folder
from ragd_tune.models.folder import MODULES, SETTINGS, Module
from ragd_tune.plan import ModelFacts
from ragd_tune.store.weights import Tensor, read_header

SCHEMA = 1
MANIFEST = "ragd-tune.json"
_BLOCK = 1 << 20
# Who wrote a file and how it is to be run, not what the model computes. The number format is part
# of the tensors.
_NOISE = frozenset(
    {"_name_or_path", "name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache"}
    | {"gradient_checkpointing", "_commit_hash", "_attn_implementation", "attn_implementation"}
    | {"tokenizer_file", "special_tokens_map_file", "is_local", "local_files_only", "backend"}
    | {"base_model_name_or_path", "peft_version", "revision", "__version__"}
)
# The limit of a run, which every encoder sets anew, left in the tokenizer by whoever saved it.
_CUTTING = frozenset(
    {"truncation", "padding", "max_length", "stride", "truncation_strategy", "pad_to_multiple_of"}
)
_VOCABULARY = ("vocab.txt", "vocab.json", "merges.txt", "added_tokens.json")


def fingerprint(path: Path, *, home: Path | None = None, fresh: bool = False) -> str:
    """Return the sha256 (hex) that identifies the model in ``path``.

    With ``home`` (the store's root), the answer is kept in ``fingerprints.json`` and taken from
    there while names, sizes and times of change of all files are the same; ``fresh`` reads the
    files anyway. Only a folder that passed :func:`ragd_tune.models.folder.check` has one.

    :raises NotInstalledError: the folder holds no model in safetensors.
    :raises RefusedAdapterError: the folder breaks a rule of safety, or a file is malformed.
    """
    path = path.resolve()
    stamp = cache.stamp(path) if home is not None else None
    if home is not None and stamp and not fresh and (known := cache.look(home, path, stamp)):
        return known
    folder.check(path)
    made = _digest(
        {
            "schema": SCHEMA,
            "modules": [_module(path, module) for module in folder.modules(path)],
            "settings": _settings(path),
        }
    )
    if home is not None and stamp and stamp == cache.stamp(path):
        cache.keep(home, path, stamp, made)
    return made


def _module(root: Path, module: Module) -> dict[str, object]:
    inside = root / module.place
    tensors: dict[str, str] = {}
    for name in module.weights:
        prefix = name.rpartition("/")[0]
        for key, digest in _tensors(inside / name).items():
            if tensors.setdefault(f"{prefix}/{key}", digest) is not digest:
                raise RefusedAdapterError(f"{inside / name}: tensor {key!r} is in another file too")
    ends = ("tokenizer.json", *_VOCABULARY, ".model")
    words = {name: inside / name for name in module.files if name.endswith(ends)}
    rest = {name: inside / name for name in module.files if name not in words}
    return {
        "type": module.type,
        "tensors": tensors,
        "tokenizer": _tokenizer(words),
        "files": {name: _content(path) for name, path in rest.items()},
    }


def _tokenizer(words: Mapping[str, Path]) -> dict[str, object]:
    """Return ``tokenizer.json`` without its cutting; the vocabulary's files where there is none."""
    whole = {name: path for name, path in words.items() if name.endswith("tokenizer.json")}
    return {name: _content(path) for name, path in (whole or words).items()}


def _settings(root: Path) -> dict[str, object]:
    """Return prompts and similarity; what is not set and what is set to the default are one."""
    path = root / SETTINGS
    raw = _clean(_json(path), _NOISE) if path.is_file() and (root / MODULES).is_file() else {}
    prompts = (raw.get("prompts") or {}) if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(prompts, dict):
        mend = "fetch the model again"
        raise RefusedAdapterError(f"{path}: it, or its prompts, is no object", mend=mend)
    found: dict[str, object] = {name: value for name, value in raw.items() if value is not None}
    found["prompts"] = {role: text for role, text in prompts.items() if text}
    found.setdefault("similarity_fn_name", "cosine")
    found.setdefault("model_type", "SentenceTransformer")
    return found


def _content(path: Path) -> object:
    """Return JSON without its noise as a digest, any other file as the digest of its bytes."""
    if path.suffix == ".json":
        cut = _CUTTING if path.name.startswith("tokenizer") else frozenset()
        return _digest(_clean(_json(path), _NOISE | cut))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RefusedAdapterError(f"{path}: is not JSON", mend="fetch the model again") from error


def _clean(value: object, noise: frozenset[str]) -> object:
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in noise}


def _digest(value: object) -> str:
    # Not plan.canonical: real configurations hold infinities (a time_step_limit of [0, Infinity]).
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _tensors(path: Path) -> dict[str, str]:
    """Return a digest of dtype, shape and bytes for every tensor of a safetensors file."""
    try:
        header = read_header(path)
    except TuneError as error:
        mend = "fetch the model again"
        raise RefusedAdapterError(f"{path}: {error.message}", mend=mend) from error
    with path.open("rb") as file:
        return {tensor.name: _tensor(file.read, file.seek, tensor) for tensor in header}


def _tensor(read: Callable[[int], bytes], seek: Callable[[int], int], tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype}{list(tensor.shape)}".encode())
    seek(tensor.begin)
    for at in range(tensor.begin, tensor.end, _BLOCK):
        digest.update(read(min(_BLOCK, tensor.end - at)))
    return digest.hexdigest()


# -- spaces --------------------------------------------------------------------------------------


def space_id(facts: ModelFacts, *, encoder: str) -> str:
    """Return the id of the vector space that documents are embedded into.

    Vectors of two spaces never meet. ``encoder`` identifies the document side's weights: a base's
    fingerprint (also for an adapter of the query side, which so inherits the base's space), else
    :func:`files_digest`. Length, dimension, normalisation and the document prompt are ``facts``'.
    """
    return _digest(
        {
            "encoder": encoder,
            "max_length": facts.max_length,
            "dimension": facts.dimension,
            "normalise": facts.normalise,
            "prompt": facts.prompts.get("document", ""),
        }
    )


def space_at(space: str, dimension: int) -> str:
    """Return the id of ``space`` cut to its first ``dimension`` dimensions."""
    return _digest({"space": space, "dimension": dimension})


def files_digest(path: Path, fingerprint: str) -> str:
    """Return the sha256 (hex) of the weights in ``path`` on the base ``fingerprint``.

    Tensors count by content, as in a fingerprint; cards and a manifest do not count.
    """
    found = {
        one.relative_to(path).as_posix(): _tensors(one)
        if one.suffix == ".safetensors"
        else _content(one)
        for one in _files(path)
        if one.suffix != ".md" and one.name != MANIFEST
    }
    return _digest({"base": fingerprint, "files": found})


def _files(path: Path) -> Iterable[Path]:
    return (one for one in sorted(path.rglob("*")) if one.is_file())
