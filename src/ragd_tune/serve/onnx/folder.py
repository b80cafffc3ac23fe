"""The folder of an export: what it says of itself, and every byte of it checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ragd_tune.errors import RefusedAdapterError, StoreError
from ragd_tune.models import space_at, space_id
from ragd_tune.plan import ModelFacts, canonical

MARK = "ragd-tune-onnx.json"
"""What makes a folder an export. Nothing in it is a time, a place or a version."""
AGREEMENT = "agreement.json"
"""How near the export is to its adapter: a measurement, and no part of what it is."""
GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
FILES = (GRAPH, TOKENIZER)
SCHEMA = 1
MEND = "export it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What an exported embedder is; :attr:`id` follows from it.

    ``adapter`` is the adapter's content id and ``kind`` its kind; ``precision`` that of the
    weights; ``space`` the id of the space that its vectors lie in; ``files`` the sha256 of each
    file.
    """

    kind: str
    adapter: str
    base: Mapping[str, str]
    precision: Literal["fp32", "int8"]
    facts: ModelFacts
    space: str
    files: Mapping[str, str]

    @property
    def id(self) -> str:
        """Content id: the sha256 of all of it as canonical JSON."""
        return hashlib.sha256(canonical(self.to_json())).hexdigest()

    def space_of(self, dimension: int | None) -> str:
        """Return the id of the space of vectors that are cut to ``dimension``."""
        if dimension is None or dimension == self.facts.dimension:
            return self.space
        return space_at(self.space, dimension)

    def to_json(self) -> dict[str, Any]:
        """Return what the mark holds."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], where: Path) -> Self:
        """Read what :meth:`to_json` wrote.

        :raises StoreError: it is something else.
        """
        if raw.get("schema") != SCHEMA:
            told = raw.get("schema")
            raise StoreError(f"{where}: has schema {told!r}, and {SCHEMA} is read", mend=MEND)
        try:
            fields = {name: value for name, value in raw.items() if name != "schema"}
            facts = dict(fields.pop("facts"))
            facts["dimensions"] = tuple(facts["dimensions"])
            made = cls(facts=ModelFacts(**facts), **fields)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise StoreError(f"{where}: is not what an export says of itself", mend=MEND) from error
        if sorted(made.files) != sorted(FILES):
            raise RefusedAdapterError(f"{where}: names files that no export has", mend=MEND)
        return made


def is_export(ref: object) -> bool:
    """Say whether ``ref`` is the folder of an export, by its mark alone."""
    return isinstance(ref, str | Path) and (Path(ref).expanduser() / MARK).is_file()


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file that a model is made of."""
    found = {}
    for name in FILES:
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def own_space(facts: ModelFacts, files: Mapping[str, str]) -> str:
    """Return the id of a space that only this very graph embeds into."""
    encoder = hashlib.sha256(canonical({"onnx": dict(files)})).hexdigest()
    return space_id(facts, encoder=encoder)


def write(folder: Path, export: Export, agreement: Mapping[str, object]) -> None:
    """Write what a folder says of itself."""
    for name, value in ((MARK, export.to_json()), (AGREEMENT, agreement)):
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8", newline="\n")


def read(folder: Path) -> Export:
    """Read an export and check every byte that will be loaded.

    :raises StoreError: a file is missing or has changed.
    :raises RefusedAdapterError: a file is a link.
    """
    mark = folder / MARK
    try:
        raw = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{mark}: cannot be read: {error}", mend=MEND) from error
    if not isinstance(raw, dict):
        raise StoreError(f"{mark}: is not what an export says of itself", mend=MEND)
    export = Export.from_json(raw, mark)
    for name in FILES:
        if (folder / name).is_symlink() or not (folder / name).is_file():
            raise RefusedAdapterError(f"{folder / name}: is missing, or no file", mend=MEND)
    for name, found in digests(folder).items():
        if found != export.files[name]:
            raise StoreError(f"{folder / name}: has changed since it was exported", mend=MEND)
    return export
