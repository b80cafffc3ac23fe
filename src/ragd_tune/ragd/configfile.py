"""ragd's ``config.yaml``: read, and changed in place, so that nothing else in it moves.

A YAML library that writes the file anew may change quotes, widths or indents of lines that nobody
asked about. Here only the values that change are cut out and replaced, by the places that the
parser tells; then the result is parsed, and must hold exactly what was meant.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import NotInstalledError, UsageError

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

Key = tuple[str, str]
"""A section and a key in it: ``("embedding", "model")``."""
Value = str | int | float
_BOM = "\ufeff"


def read(path: Path) -> bytes:
    """Return the file's bytes.

    :raises NotInstalledError: ragd was not set up: there is no file.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotInstalledError(
            f"{path}: ragd has no configuration yet", mend="set ragd up first: ragd init"
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error}", mend="check its rights") from error


def parse(raw: bytes, where: str) -> dict[str, Any]:
    """Return what the file says; an empty one says nothing.

    :raises UsageError: it is not YAML, or no mapping; names the line.
    """
    import yaml

    try:
        value = yaml.safe_load(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: is not UTF-8: {error}", mend="save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise UsageError(f"{where}{line}: is not YAML: {problem}", mend="mend the file") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{where}: holds no sections", mend="mend the file, or `ragd init`")
    return value


def edited(raw: bytes, changes: Mapping[Key, Value], where: str) -> bytes:
    """Return the file with ``changes`` made, and every other byte as it was.

    :raises UsageError: the file is written so that a value cannot be changed alone (an alias, a
        merge key, a tag); names the key.
    """
    wanted = parse(raw, where)
    text = raw.decode("utf-8")
    for (section, key), value in changes.items():
        if not isinstance(wanted.get(section) or {}, dict):
            raise UsageError(f"{where}: {section} is no section", mend="mend the file")
        wanted = copy.deepcopy(wanted)  # anchors make one object of two sections
        wanted[section] = {**(wanted.get(section) or {}), key: value}
        text = _set(text, section, key, value)
    made = text.encode("utf-8")
    try:
        found = parse(made, where)
    except UsageError:
        found = {}
    if found != wanted:
        names = ", ".join(".".join(key) for key in changes)
        raise UsageError(
            f"{where}: {names} cannot be changed without changing something else",
            mend="write these values out, without anchors, aliases or merge keys",
        )
    return made


def diff(before: bytes, after: bytes, name: str) -> str:
    """Return the change as a unified diff; empty where there is none."""
    old, new = (raw.decode("utf-8").splitlines() for raw in (before, after))
    lines = difflib.unified_diff(old, new, name, name, n=1, lineterm="")
    return "\n".join(lines)


def _set(text: str, section: str, key: str, value: Value) -> str:
    head, body = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    end = "\r\n" if "\r\n" in body else "\n"
    return head + _place(body, section, key, _written(value), end)


def _place(text: str, section: str, key: str, value: str, end: str) -> str:
    """Return ``text`` with the value put where the parser says that it belongs."""
    root = _compose(text)
    found = _child(root, section)
    if root is None:
        return f"{text}{_gap(text, end)}{section}:{end}  {key}: {value}{end}"
    if found is None:
        return _new_section(text, root, section, f"{key}: {value}", end)
    node = found[1]
    if not _is_mapping(node):  # `embedding:` with nothing, or a null, below it
        start, stop = node.start_mark.index, node.end_mark.index
        return f"{text[:start].rstrip(' ')}{end}  {key}: {value}{text[stop:]}"
    pair = _child(node, key)
    if pair is None:
        return _new_key(text, node, f"{key}: {value}", end)
    start, stop = pair[1].start_mark.index, pair[1].end_mark.index
    stop = start + len(text[start:stop].rstrip())  # a folded text ends behind its line
    space = " " if text[start - 1] == ":" else ""
    return f"{text[:start]}{space}{value}{text[stop:]}"


def _new_section(text: str, root: MappingNode, section: str, pair: str, end: str) -> str:
    if root.flow_style:
        at = root.start_mark.index + 1
        return f"{text[:at]}{section}: {{{pair}}}{', ' if root.value else ''}{text[at:]}"
    at = root.end_mark.index
    return f"{text[:at]}{_gap(text[:at], end)}{section}:{end}  {pair}{end}{text[at:]}"


def _new_key(text: str, node: MappingNode, pair: str, end: str) -> str:
    if node.flow_style:
        at = node.start_mark.index + 1
        return f"{text[:at]}{pair}{', ' if node.value else ''}{text[at:]}"
    first = node.value[0][0].start_mark
    at = first.index - first.column
    return f"{text[:at]}{' ' * first.column}{pair}{end}{text[at:]}"


def _gap(text: str, end: str) -> str:
    return "" if not text or text.endswith("\n") else end


def _compose(text: str) -> MappingNode | None:
    import yaml
    from yaml.nodes import MappingNode

    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return node if isinstance(node, MappingNode) else None


def _child(node: Node | None, name: str) -> tuple[Node, Any] | None:
    for key, value in node.value if node is not None else ():
        if key.value == name:
            return key, value
    return None


def _is_mapping(node: Node) -> bool:
    from yaml.nodes import MappingNode

    return isinstance(node, MappingNode)


def _written(value: Value) -> str:
    """Return a value as YAML: plain where that reads back as itself, else quoted."""
    import yaml

    if not isinstance(value, str):
        return repr(value)
    plain = all(letter.isalnum() or letter in "-_./+@" for letter in value)
    if plain and value and yaml.safe_load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
