"""Where options come from: file, environment, flags; one precedence, and it can be shown.

From weak to strong: the option's own default, the kind's default for this profile, the recipe that
was chosen for a ``budget``, the ``training:`` block of ragd's configuration, the file of
``--config``, the environment, flags.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.errors import UsageError
from ragd_tune.options import Option, Value

if TYPE_CHECKING:
    from yaml.nodes import Node

PRECEDENCE = ("default", "kind", "budget", "ragd", "config", "environment", "flag")

# ragd's planned block (F-058); the keys not named here belong to generating data.
_RAGD = {
    "embedder": {
        "embedding_epochs": "epochs",
        "embedding_batch_size": "batch_size",
        "embedding_learning_rate": "learning_rate",
        "matryoshka_dims": "matryoshka_dims",
        "hard_negatives_per_query": "negatives",
    },
    "generator": {"llm_backend": "backend", "training_epochs": "epochs"},
    "all": {"lora_rank": "lora_rank", "lora_alpha": "lora_alpha"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The value of an option, where it came from, and the place a message would name."""

    value: Value
    source: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Raw values of one source: name → (raw value, place)."""

    source: str
    values: Mapping[str, tuple[object, str]]


def settle(options: Iterable[Option], layers: Iterable[Layer]) -> dict[str, Setting]:
    """Return each option's strongest value.

    :raises UsageError: a value is of the wrong type or out of range; names its place.
    """
    ordered = sorted(layers, key=lambda layer: PRECEDENCE.index(layer.source))
    settled = {}
    for option in options:
        setting = Setting(value=option.default, source="default", where="default")
        for layer in ordered:
            if option.name in layer.values:
                raw, where = layer.values[option.name]
                value = option.parse(raw, where=where)
                setting = Setting(value=value, source=layer.source, where=where)
        settled[option.name] = setting
    return settled


def flags(given: Mapping[str, object]) -> Layer:
    """Return what the command line (or a caller of the Python API) set; None is "not given"."""
    values = {
        name: (raw, "--" + name.replace("_", "-").replace(".", "-"))
        for name, raw in given.items()
        if raw is not None
    }
    return Layer(source="flag", values=values)


def environment(options: Iterable[Option], environ: Mapping[str, str] | None = None) -> Layer:
    """Return what ``RAGD_TUNE_<OPTION>`` variables set; an empty one sets nothing."""
    environ = os.environ if environ is None else environ
    values: dict[str, tuple[object, str]] = {
        option.name: (environ[option.variable], f"${option.variable}")
        for option in options
        if environ.get(option.variable)
    }
    return Layer(source="environment", values=values)


def kind_defaults(defaults: Mapping[str, Value], made: Mapping[str, Value] | None = None) -> Layer:
    """Return a kind's own defaults as a layer.

    :param made: those for questions that no language model made from documents; the ones that
        differ take the place of ``defaults``, and say why.
    """
    values: dict[str, tuple[object, str]] = {
        name: (value, "the kind's default") for name, value in defaults.items()
    }
    for name, value in (made or {}).items():
        if defaults.get(name) != value:
            values[name] = (value, "the kind's default for questions made without a language model")
    return Layer(source="kind", values=values)


def budget_recipe(options: Mapping[str, Value]) -> Layer:
    """Return the options of the recipe that was chosen for a budget as a layer."""
    values: dict[str, tuple[object, str]] = {
        name: (value, "the recipe for the budget") for name, value in options.items()
    }
    return Layer(source="budget", values=values)


def config_file(path: Path, known: Iterable[str], kinds: Iterable[str], kind: str) -> Layer:
    """Read a YAML file of option names; a section named as a kind holds for that kind alone.

    :raises UsageError: unreadable, not a mapping, or an unknown key, with file and line.
    """
    known, kinds = set(known), set(kinds)
    values: dict[str, tuple[object, str]] = {}
    sections: dict[str, tuple[object, str]] = {}
    for name, raw, where, nested in _mapping(path):
        if name in kinds and nested is not None:
            if name == kind:
                sections = {n: (r, w) for n, r, w, _ in _pairs(nested, path)}
        elif name in known:
            values[name] = (raw, where)
        else:
            raise _unknown(name, where, known)
    for name, (_, where) in sections.items():
        if name not in known:
            raise _unknown(name, where, known)
    return Layer(source="config", values={**values, **sections})


def ragd_file(path: Path, *, serves: str) -> Layer:
    """Read the ``training:`` block of ragd's configuration; a file without one gives nothing.

    ``serves`` (embedder, reranker, generator) picks the keys that speak of this kind of model.

    :raises UsageError: the file is there and is not YAML.
    """
    if not path.is_file():
        return Layer(source="ragd", values={})
    names = {**_RAGD.get(serves, {}), **_RAGD["all"]}
    values = {}
    for name, _, _, nested in _mapping(path):
        if name == "training" and nested is not None:
            for key, raw, where, _ in _pairs(nested, path):
                if key in names:
                    values[names[key]] = (raw, where)
    return Layer(source="ragd", values=values)


def ragd_path() -> Path:
    """Return where ragd keeps its configuration; only HOME moves it."""
    return Path.home() / ".ragd" / "config.yaml"


def _unknown(name: str, where: str, known: set[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see `ragd-tune train KIND --help`"
    return UsageError(f"{where}: there is no option {name!r}", mend=hint)


_Pair = tuple[str, object, str, "Node | None"]


def _mapping(path: Path) -> list[_Pair]:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}", mend="give a YAML file") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise UsageError(f"{path}{line}: is not YAML: {problem}", mend="mend the file") from error
    return [] if node is None else _pairs(node, path)


def _pairs(node: Node, path: Path) -> list[_Pair]:
    import yaml

    where = f"{path}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(
            f"{where}: expected `option: value` lines", mend="see docs/how-to/configure.md"
        )
    pairs: list[_Pair] = []
    seen: set[str] = set()
    for key, value in node.value:
        place = f"{path}:{key.start_mark.line + 1}"
        name = str(key.value)
        if name in seen:
            raise UsageError(f"{place}: {name!r} is there twice", mend="keep one of them")
        seen.add(name)
        nested = value if isinstance(value, yaml.MappingNode) else None
        raw = None if nested is not None else _construct(value, place)
        pairs.append((name, raw, place, nested))
    return pairs


def _construct(node: Node, place: str) -> object:
    import yaml

    try:
        raw: object = yaml.SafeLoader("").construct_object(node, deep=True)
    except yaml.YAMLError as error:
        raise UsageError(f"{place}: cannot be read: {error}", mend="give a plain value") from error
    return raw
