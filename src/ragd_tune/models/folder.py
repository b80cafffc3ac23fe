"""A base model's folder: which of its files decide what it computes, and which are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ragd_tune.errors import NotInstalledError, RefusedAdapterError, TuneError
from ragd_tune.store.configs import check_config
from ragd_tune.store.paths import check_path

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack"})
_DATA = frozenset({".json", ".safetensors", ".txt", ".model", ".jinja"})
# A model's root also holds cards, scores and training notes; only these decide what it computes.
_ROOT = re.compile(
    r"config\.json|sentence_\w+_config\.json|router_config\.json"
    r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.(txt|json)|merges\.txt|[\w.-]*\.model|chat_template\.jinja"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module of a model: its class's name, its folder, and its files (POSIX, relative)."""

    type: str
    place: str
    files: tuple[str, ...]
    weights: tuple[str, ...]


def modules(folder: Path) -> tuple[Module, ...]:
    """Return the modules of the model in ``folder``, in the order in which they run.

    A folder without ``modules.json`` is one ``Transformer``.

    :raises RefusedAdapterError: a module is code, or lies elsewhere.
    """
    if not (folder / MODULES).is_file():
        return (_module(folder, "Transformer", ""),)
    _check_json(folder, MODULES)
    listed = json.loads((folder / MODULES).read_bytes())
    # Older and newer releases keep the same class in different Python modules.
    return tuple(
        _module(folder, str(one["type"]).rpartition(".")[2], str(one.get("path") or ""))
        for one in listed
    )


def _module(folder: Path, kind: str, place: str) -> Module:
    inside = folder / place
    if not place:
        names = [
            path.name for path in _entries(inside) if path.is_file() and _ROOT.fullmatch(path.name)
        ]
        if "router_config.json" in names:
            names += _routes(inside)
    else:
        names = [
            path.relative_to(inside).as_posix() for path in _walk(inside) if path.suffix in _DATA
        ]
    weights = _weights(inside)
    others = [name for name in names if not name.endswith(".safetensors") and name != INDEX]
    nested = [name for name in names if "/" in name and name.endswith(".safetensors")]
    return Module(
        type=kind, place=place, files=tuple(sorted(others)), weights=(*weights, *sorted(nested))
    )


def _routes(folder: Path) -> Iterator[str]:
    """Yield the files of a router's own modules."""
    for place in sorted(_table(folder, "router_config.json", "types")):
        for path in _walk(folder / place):
            if path.suffix in _DATA:
                yield path.relative_to(folder).as_posix()


def _weights(folder: Path) -> tuple[str, ...]:
    """Return the safetensors files that a loader takes, the single file before the shards."""
    if (folder / WEIGHTS).is_file():
        return (WEIGHTS,)
    if (folder / INDEX).is_file():
        shards = {str(shard) for shard in _table(folder, INDEX, "weight_map").values()}
        for shard in shards:
            check_path(shard)
        return tuple(sorted(shards))
    return ()


def paths(folder: Path) -> list[Path]:
    """Return every file that decides what the model computes, sorted."""
    found = {folder / name for name in (MODULES, SETTINGS) if (folder / name).is_file()}
    for module in modules(folder):
        inside = folder / module.place
        found |= {inside / name for name in (*module.files, *module.weights)}
        if (inside / INDEX).is_file() and WEIGHTS not in module.weights:
            found.add(inside / INDEX)
    return sorted(found)


def check(folder: Path) -> None:
    """Refuse a folder that is no model, holds only pickles, needs code, or leads out by a link.

    :raises NotInstalledError: it holds no model in safetensors; says what it does hold.
    :raises RefusedAdapterError: it breaks a rule of safety; names the file and the rule.
    """
    check_links(folder)
    if (folder / "adapter_config.json").exists():
        raise NotInstalledError(
            f"{folder} is an adapter on another model, not a base model",
            mend="name the base that it was made for",
        )
    for module in modules(folder):
        _check_weights(folder / module.place, module)
    for path in paths(folder):
        if not path.is_file():
            raise NotInstalledError(
                f"{folder}: {path.relative_to(folder).as_posix()} is missing",
                mend="fetch the model again",
            )
        if path.suffix == ".json":
            _check_json(folder, path.relative_to(folder).as_posix())


def _check_weights(inside: Path, module: Module) -> None:
    if module.weights:
        return
    pickles = [path.name for path in _entries(inside) if path.suffix in _PICKLES]
    if pickles:
        raise NotInstalledError(
            f"{inside} holds {pickles[0]} and no safetensors; a pickle runs code when it is loaded",
            mend="save the weights as safetensors, or take another revision of the model",
        )
    if not module.place:
        raise NotInstalledError(f"{inside} holds no {WEIGHTS}", mend="name a model's folder")


def _check_json(folder: Path, name: str) -> None:
    try:
        check_config(folder / name, name)
    except TuneError as error:
        raise RefusedAdapterError(
            f"the base model in {folder} is refused: {error.message}",
            mend="take a model that the installed libraries know without code of its own",
        ) from error


def _table(folder: Path, name: str, key: str) -> dict[str, object]:
    """Return one object of a JSON file; what is not set is empty."""
    _check_json(folder, name)
    raw = json.loads((folder / name).read_bytes())
    found = raw.get(key, {}) if isinstance(raw, dict) else None
    if not isinstance(found, dict):
        raise RefusedAdapterError(
            f"the base model in {folder} is refused: {name} has no object {key!r}",
            mend="fetch the model again",
        )
    return found


def check_links(folder: Path) -> None:
    """Refuse links out of ``folder``, but for the hub's cache, which links to its own blobs."""
    inside = folder.resolve()
    allowed = [inside]
    if inside.parent.name == "snapshots":
        allowed.append(inside.parent.parent / "blobs")
    for path in [*_entries(folder), *(p for p in _module_files(folder))]:
        target = path.resolve()
        if not any(target.is_relative_to(place) for place in allowed):
            name = path.relative_to(folder).as_posix()
            raise RefusedAdapterError(
                f"the base model in {folder} is refused: {name} is a link out of the folder",
                mend="copy the folder with its links resolved",
            )


def _module_files(folder: Path) -> Iterator[Path]:
    for module in modules(folder):
        if module.place:
            yield from _entries(folder / PurePosixPath(module.place))


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _walk(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _walk(entry)
        else:
            yield entry
