"""``ragd-tune.json``: what the weights of an adapter are, and the content id made from it.

The content id is the sha256 of the manifest as canonical JSON. It holds no times, no paths, no
versions and no proof: the same weights, described the same way, have the same id on any machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Final, Literal, Self

import pydantic
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from ragd_tune.errors import RefusedAdapterError, StoreError, TuneError
from ragd_tune.plan import canonical
from ragd_tune.store import files, safety
from ragd_tune.store.journal import to_json
from ragd_tune.store.paths import check_path

SCHEMA: Final = 1
FILE = "ragd-tune.json"
MAX_BYTES = 4_000_000


def _no_place(name: str) -> str:
    """Refuse a path: the id of an adapter may not depend on a machine's folders."""
    windows = PureWindowsPath(name)
    if windows.root or windows.drive or name.startswith(("~", ".")):
        raise ValueError("is a place on one machine's disk; use the model's name")
    return name


def _sound_path(name: str) -> str:
    try:
        check_path(name)
    except TuneError as error:
        raise ValueError(error.message) from error
    if name == FILE:
        raise ValueError("the manifest does not list itself")
    return name


_NAME = StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
_DIGEST = StringConstraints(pattern=r"^[0-9a-f]{64}$")
# Part of a folder's name (bases/<fingerprint>), and hashes of any length by any method.
_FINGERPRINT = StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{5,127}$")
Slug = Annotated[str, _NAME]
Fingerprint = Annotated[str, _FINGERPRINT]
_Count = Annotated[int, Field(ge=0, le=1 << 31)]


class _Strict(pydantic.BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileEntry(_Strict):
    """One file: its sha256 (hex) and its size in bytes."""

    sha256: Annotated[str, _DIGEST]
    size: Annotated[int, Field(ge=0)]


class BaseRef(_Strict):
    """The base model: its name for people, and the fingerprint that decides."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_place)]
    fingerprint: Fingerprint


class Prompts(_Strict):
    """What is put before a text, by its role; ``system`` is a language model's system turn."""

    query: str = ""
    document: str = ""
    system: str = ""

    def given(self) -> dict[str, str]:
        """Return the texts by role; a system turn only where there is one."""
        return {role: text for role, text in self if text or role != "system"}


class Manifest(_Strict):
    """What an adapter is. What a kind of model does not have is 0, empty or null.

    ``dimension`` counts floats of one vector, ``dimensions`` the leading ones that were trained
    (Matryoshka, descending), ``max_length`` tokens; ``settings`` is what else the kind needs to
    know of the model. ``space`` is the id of the document side's
    space: vectors of two spaces never meet. ``files`` names every file but the manifest itself.
    """

    schema_: Literal[1] = Field(default=SCHEMA, alias="schema")
    kind: Slug
    objective: Slug
    tuning: Slug
    side: Literal["both", "query"] = "both"
    format: Slug
    base: BaseRef
    dimension: _Count = 0
    dimensions: tuple[Annotated[int, Field(ge=1)], ...] = ()
    max_length: _Count = 0
    prompts: Prompts = Prompts()
    pooling: Annotated[str, StringConstraints(max_length=64)] = ""
    normalise: bool = False
    settings: Mapping[Slug, int | float | bool | str] = Field(default_factory=dict)
    space: Fingerprint | None = None
    files: Mapping[Annotated[str, AfterValidator(_sound_path)], FileEntry]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if list(self.dimensions) != sorted(set(self.dimensions), reverse=True):
            raise ValueError("dimensions must descend, each named once")
        if self.dimensions and self.dimensions[0] > self.dimension:
            raise ValueError("dimensions must not exceed dimension")
        return self

    @classmethod
    def build(cls, folder: Path, **fields: Any) -> Manifest:
        """Return the manifest of ``folder``; ``fields`` are JSON-shaped, ``files`` are hashed here.

        :raises RefusedAdapterError: the folder holds what no adapter may hold.
        :raises StoreError: a field is missing, unknown or wrong.
        """
        found = {
            name: {"sha256": digest(folder / name), "size": size}
            for name, size in safety.scan(folder).items()
            if name != FILE
        }
        return cls.read(to_json({**fields, "files": found}), where=FILE)

    @classmethod
    def load(cls, folder: Path, *, shown: str = "") -> Manifest:
        """Read the manifest in ``folder``; ``shown`` is what messages call the folder.

        :raises StoreError: it is missing, or newer than this version; the message names the field
            that is wrong.
        """
        path, shown = folder / FILE, shown or folder.name
        if files.is_link(path) or not path.is_file():
            raise StoreError(
                f"{shown} holds no {FILE}: it is no adapter of ragd-tune",
                mend="name the folder that was made by 'ragd-tune train' or 'adapters export'",
            )
        if path.stat().st_size > MAX_BYTES:
            raise RefusedAdapterError(f"{FILE}: more than {MAX_BYTES:,} bytes")
        return cls.read(path.read_bytes(), where=f"{shown}/{FILE}")

    @classmethod
    def read(cls, raw: bytes, *, where: str) -> Manifest:
        """Read the manifest's JSON; ``where`` is what messages call it.

        :raises StoreError: as :meth:`load`.
        """
        check_schema(raw, where)
        try:
            return cls.model_validate_json(raw)
        except pydantic.ValidationError as error:
            raise RefusedAdapterError(
                f"{where}: {describe(error)}", mend="fetch or train the adapter again"
            ) from error

    def to_bytes(self) -> bytes:
        """Return canonical JSON: what the content id is made from, and what the file holds.

        Empty ``settings`` and an empty ``system`` are left out: they came later, and ids stay the
        same for ever.
        """
        value = self.model_dump(mode="json", by_alias=True)
        if not self.settings:
            del value["settings"]
        if not self.prompts.system:
            del value["prompts"]["system"]
        return canonical(value)

    @property
    def content_id(self) -> str:
        """The content id: sha256 (hex) of :meth:`to_bytes`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def verify(self, folder: Path) -> None:
        """Check that ``folder`` holds exactly these files, with these bytes.

        :raises RefusedAdapterError: with the first file that is missing, extra or different.
        """
        found = safety.scan(folder)
        found.pop(FILE, None)
        for name in sorted(self.files.keys() | found.keys()):
            if name not in found:
                _damaged(name, "is missing")
            if name not in self.files:
                _damaged(name, f"is not in {FILE}")
            entry = self.files[name]
            if entry.size != found[name]:
                _damaged(name, f"has {found[name]:,} bytes, {FILE} says {entry.size:,}")
            if entry.sha256 != digest(folder / name):
                _damaged(name, f"wrong hash: its sha256 is not the one in {FILE}")


def digest(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_schema(raw: bytes, where: str) -> None:
    """Refuse what a newer version wrote, before its fields are looked at.

    What is no JSON passes: whoever reads the fields says so, and knows the mend.

    :raises StoreError: naming ``where``.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return
    schema = value.get("schema") if isinstance(value, dict) else None
    if type(schema) is int and schema > SCHEMA:
        raise StoreError(
            f"{where}: a newer version of ragd-tune needed (schema {schema}, known is {SCHEMA})",
            mend="pip install --upgrade ragd-tune",
        )


def describe(error: pydantic.ValidationError) -> str:
    """Return the first thing that is wrong, with the name of its field."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'manifest'}: {first['msg']}"


def _damaged(name: str, why: str) -> None:
    raise RefusedAdapterError(f"{name} {why}", mend="fetch or train the adapter again")
