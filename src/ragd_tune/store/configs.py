"""JSON files of an adapter: none may talk a loader into importing or running code.

Each rule stands for a loader that takes a name of code from a configuration file: transformers
(``auto_map``, kernels as attention), sentence-transformers (module types, activations), PEFT
(``parent_library``, ``megatron_core``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from ragd_tune.store.paths import check_path, refuse

_OWN_CLASS = re.compile(r"sentence_transformers(\.[A-Za-z_][A-Za-z0-9_]*)+")
_LIBRARY = re.compile(r"(sentence_transformers|transformers)(\.[A-Za-z_][A-Za-z0-9_]*)*")
_ACTIVATION = re.compile(r"torch\.nn(\.[A-Za-z_][A-Za-z0-9_]*)+|[A-Za-z0-9_]*")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_]*")
_FROM_HUB = "names code to fetch"
MAX_JSON = 128_000_000
"""Bytes. The largest tokenizer.json in use has about 35 million."""

Check = Callable[[object], str]


def _runs_code(value: object) -> str:
    # A vocabulary may hold the word as a token: there its value is a number.
    return "makes a loader run code of the adapter" if isinstance(value, (dict, list, str)) else ""


def _trusts(value: object) -> str:
    return "makes a loader run code of the adapter" if value and type(value) is not int else ""


def _only(pattern: re.Pattern[str], what: str) -> Check:
    """Return a check that accepts ``null`` and texts that match ``pattern``."""

    def check(value: object) -> str:
        sound = not isinstance(value, str) or pattern.fullmatch(value)
        return "" if sound else f"names {ascii(value)[:80]}: only {what} are loaded"

    return check


def _no_kernel(value: object) -> str:
    values = value.values() if isinstance(value, dict) else [value]
    return _FROM_HUB if any(isinstance(one, str) and "/" in one for one in values) else ""


def _no_megatron(value: object) -> str:
    return "" if value in (None, "megatron.core") else "names a module to import"


def _no_place(value: object) -> str:
    if not isinstance(value, str):
        return ""
    parts = PurePosixPath(value.replace("\\", "/")).parts
    leads_out = ".." in parts or value.startswith(("/", "\\", "~")) or PureWindowsPath(value).drive
    return "names the base by a place on one machine's disk" if leads_out else ""


_RULES: Mapping[str, Check] = {
    "auto_map": _runs_code,
    "custom_pipelines": _runs_code,
    "trust_remote_code": _trusts,
    "activation_fn": _only(_ACTIVATION, "activations of torch.nn"),
    "activation_function": _only(_ACTIVATION, "activations of torch.nn"),
    "sbert_ce_default_activation_function": _only(_ACTIVATION, "activations of torch.nn"),
    "tokenizer_class": _only(
        re.compile(f"{_PLAIN_WORD.pattern}|{_OWN_CLASS.pattern}"), "classes of the libraries"
    ),
    "parent_library": _only(_LIBRARY, "modules of transformers"),
    "megatron_core": _no_megatron,
    "attn_implementation": _no_kernel,
    "_attn_implementation": _no_kernel,
    "_attn_implementation_internal": _no_kernel,
    "experts_implementation": _no_kernel,
    "_experts_implementation": _no_kernel,
    "base_model_name_or_path": _no_place,
}


def check_config(path: Path, name: str) -> None:
    """Refuse a JSON file that is none, or that names code; ``name`` is what messages call it.

    :raises RefusedAdapterError: with the key and the reason.
    """
    value = _load(path, name)
    base = name.rpartition("/")[2]
    if base == "modules.json":
        _check_modules(value, name)
    if base == "router_config.json":
        _check_router(value, name)
    for key, found in _entries(value):
        if (rule := _RULES.get(key)) and (why := rule(found)):
            refuse(name, f"{key!r} {why}")


def _load(path: Path, name: str) -> object:
    if path.stat().st_size > MAX_JSON:
        refuse(name, f"a JSON file of more than {MAX_JSON:,} bytes")
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError):
        refuse(name, "is not JSON in UTF-8")


def _entries(value: object) -> Iterator[tuple[str, object]]:
    """Yield every key and value at any depth, without recursion."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def _check_modules(value: object, name: str) -> None:
    """Refuse modules that are not the library's own, or that lie outside the folder."""
    if not isinstance(value, list):
        refuse(name, "is not a list of modules")
    for module in value:
        kind = module.get("type") if isinstance(module, dict) else None
        _check_class(kind, name)
        if place := module.get("path"):
            check_path(str(place))


def _check_router(value: object, name: str) -> None:
    types = value.get("types") if isinstance(value, dict) else None
    for place, kind in types.items() if isinstance(types, dict) else ():
        check_path(str(place))
        _check_class(kind, name)


def _check_class(kind: object, name: str) -> None:
    if not isinstance(kind, str) or not _OWN_CLASS.fullmatch(kind):
        refuse(
            name,
            f"the module type {ascii(kind)[:80]} is code of the adapter",
            "only module types of sentence_transformers are loaded",
        )
