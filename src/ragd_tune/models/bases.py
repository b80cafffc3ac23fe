"""``bases/<fingerprint>``: base models that adapters of this store stand on.

``base.json`` there points to a folder elsewhere on this machine; ``model/`` is a copy that the
store holds itself. Both are checked against the fingerprint again whenever they are used.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
from pathlib import Path

from ragd_tune.errors import BaseMismatchError, NotInstalledError, StoreError, TuneError
from ragd_tune.models import folder as folders
from ragd_tune.models.fingerprint import fingerprint as fingerprint_of
from ragd_tune.models.resolve import resolve, resolve_named
from ragd_tune.plan import BaseModel
from ragd_tune.store import files
from ragd_tune.store.layout import default_home

_log = logging.getLogger(__name__)
POINTER = "base.json"
HELD = "model"
_SHORT = 12


def find(home: Path, fingerprint: str) -> BaseModel | None:
    """Return the base model of this fingerprint that the store at ``home`` knows, or None.

    One that is gone or has changed since is passed over, and logged.
    """
    place = _place(home, fingerprint)
    name, path, source, revision = _pointer(place)
    for where, origin in ((place / HELD, "store"), (path, source)):
        if where is not None and where.is_dir() and _is(where, fingerprint, home):
            return BaseModel(
                name=name or fingerprint[:_SHORT], path=where, fingerprint=fingerprint,
                source=origin, revision=revision,
            )  # fmt: skip
    return None


def remember(home: Path, base: BaseModel) -> None:
    """Note where ``base`` lies, so that its adapters find it again under any name."""
    raw = {
        "schema": 1,
        "name": base.name,
        "path": str(base.path.resolve()),
        "source": base.source,
        "revision": base.revision,
    }
    text = json.dumps(raw, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    files.write_atomic(_place(home, base.fingerprint) / POINTER, text.encode(), home / "tmp")


def hold(home: Path, base: BaseModel) -> BaseModel:
    """Copy ``base`` into the store, so that its adapters do not depend on another folder.

    Only what decides what the model computes is copied: no cards, no pickles, no code.

    :raises BaseMismatchError: the folder is not, or no longer, the model that ``base`` says.
    """
    target = _place(home, base.fingerprint) / HELD
    if not (target.is_dir() and _is(target, base.fingerprint, home)):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".hold-", dir=target.parent) as scratch:
            draft = Path(scratch) / HELD
            for path in folders.paths(base.path):
                copy = draft / path.relative_to(base.path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            _must_be(draft, base.fingerprint, base.name)
            files.sync_tree(draft)
            if target.exists():
                files.remove_tree(target)
            files.move_dir(draft, target)
    remember(home, base)
    return BaseModel(
        name=base.name, path=target, fingerprint=base.fingerprint, source="store",
        revision=base.revision,
    )  # fmt: skip


def locate(name: str, fingerprint: str, home: Path, *, offline: bool | None = None) -> BaseModel:
    """Return the base model that an adapter's manifest refers to, its fingerprint checked.

    What this store knows under the fingerprint comes first, then whatever has the name. The name
    comes from a manifest, perhaps a stranger's, so it is never taken for a path.

    :raises BaseMismatchError: the model of that name is another one; has both fingerprints.
    :raises NotInstalledError: it is nowhere; lists every place and the command that gets it.
    """
    if (known := find(home, fingerprint)) is not None:
        return known
    try:
        found = resolve_named(name, offline=offline, home=home)
    except NotInstalledError as error:
        short = fingerprint[:_SHORT]
        raise NotInstalledError(
            f"{error.message}\n  the store: {home / 'bases'} has no base {short}",
            mend=_get(name, error),
        ) from error
    if found.fingerprint != fingerprint:
        raise _mismatch(name, fingerprint, found.fingerprint, f"{found.path} ({found.source})")
    remember(home, found)
    return found


def _get(name: str, error: TuneError) -> str:
    local = f"if {name} is a folder of yours: ragd_tune.models.adopt(folder)"
    return f"{error.mend}; {local}" if error.mend else local


def adopt(path: Path, *, home: Path | None = None) -> BaseModel:
    """Tell the store at ``home`` (``$RAGD_TUNE_HOME`` if None) of a base model's folder.

    :raises TuneError: as :func:`ragd_tune.models.resolve`.
    """
    home = home or default_home()
    base = resolve(str(path.resolve()), home=home)
    remember(home, base)
    return base


def _place(home: Path, fingerprint: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{5,127}", fingerprint):
        raise StoreError(f"{fingerprint[:80]!r} is no fingerprint", mend="train the adapter again")
    return home / "bases" / fingerprint


def _pointer(place: Path) -> tuple[str, Path | None, str, str | None]:
    try:
        raw = json.loads((place / POINTER).read_bytes())
        name, path, source = str(raw["name"]), Path(raw["path"]), str(raw["source"])
        revision = raw.get("revision")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", None, "path", None
    return name, path, source, revision if isinstance(revision, str) else None


def _is(path: Path, fingerprint: str, home: Path) -> bool:
    try:
        found = fingerprint_of(path, home=home)
    except (TuneError, OSError) as error:
        _log.warning("the base model in %s cannot be used: %s", path, error)
        return False
    if found != fingerprint:
        _log.warning("%s holds %s now, not %s", path, found[:_SHORT], fingerprint[:_SHORT])
    return found == fingerprint


def _must_be(path: Path, fingerprint: str, name: str) -> None:
    if (found := fingerprint_of(path)) != fingerprint:
        raise _mismatch(name, fingerprint, found, str(path))


def _mismatch(name: str, wanted: str, found: str, where: str) -> BaseMismatchError:
    return BaseMismatchError(
        f"the base model {name} in {where} has the fingerprint {found[:_SHORT]}, "
        f"but {wanted[:_SHORT]} is needed: it has other weights, tokenizer, pooling or prompts",
        mend=f"get the very model that the adapter was trained on (perhaps {name}@REVISION), "
        "or train the adapter again on this one",
    )
