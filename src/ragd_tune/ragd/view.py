"""``views/<id>/``: the folder of an adapter that an unmodified ragd loads by its path.

It is a whole model in sentence-transformers' own format, merged, with no code: generated from the
adapter and its base, and made again whenever it is not as it was written. The store's adapter stays
what it is; a view may be thrown away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.errors import StoreError
from ragd_tune.store import files
from ragd_tune.store.journal import to_json

if TYPE_CHECKING:
    from ragd_tune.store import Entry, Store

_SEAL = "ragd-tune-view.json"
_SETTINGS = "config_sentence_transformers.json"


def needs_hook(entry: Entry) -> str:
    """Say why plain ragd cannot use an adapter; an empty text if it can.

    ragd encodes without roles, so one folder must embed queries and documents alike.
    """
    manifest = entry.manifest
    if manifest.side == "query":
        return "it embeds queries only, and ragd does not tell queries from documents"
    if manifest.prompts.query != manifest.prompts.document:
        return "its prompts for queries and documents differ, and ragd puts none before its texts"
    return ""


def make_view(store: Store, entry: Entry, export: Callable[[Path], object]) -> Path:
    """Return the view of ``entry``, made by ``export`` (which writes a whole model) if need be.

    For an adapter that plain ragd cannot use, the view holds no model: a ragd without the hook
    fails there, and does not search by another model.

    :raises StoreError: the disk refuses.
    """
    home = store.view_dir(entry.id)
    if is_sound(home):
        return home
    draft = store.draft()
    try:
        out = draft / "view"
        if needs_hook(entry):
            files.make_dir(out)
            files.write(out / "READ-ME.txt", _WHY.format(reason=needs_hook(entry)).encode())
        else:
            export(out)
            _set_prompt(out, entry.manifest.prompts.given())
        files.write(out / _SEAL, to_json({"schema": 1, "files": _digests(out)}))
        files.sync_tree(out)
        with store.layout.locked():
            if home.exists():
                store.layout.drop(home)
            files.move_dir(out, home)
    finally:
        store.discard(draft)
    return home


_WHY = """\
This adapter works with ragd only through the hook of ragd-tune: {reason}.
    ragd-tune host enable
or go back to the model that ragd had before:
    ragd-tune adapters rollback
"""


def is_sound(view: Path) -> bool:
    """Say whether a view is there and holds exactly what was written."""
    raw = files.read_bytes(view / _SEAL)
    try:
        return raw is not None and json.loads(raw)["files"] == _digests(view)
    except (ValueError, KeyError, TypeError, OSError):
        return False


def open_exporter(store: Store, entry: Entry) -> Callable[[Path], object]:
    """Return what writes the whole model of ``entry`` by the backend that loads it."""
    from ragd_tune.models import locate
    from ragd_tune.registry import discover
    from ragd_tune.serve import open_model
    from ragd_tune.serve.load import facts_of

    def export(out: Path) -> None:
        manifest = entry.manifest
        base = locate(manifest.base.name, manifest.base.fingerprint, store.root)
        with open_model(
            discover(), objective=manifest.objective, format=manifest.format, base=base,
            adapter=entry.path, facts=facts_of(manifest), side=manifest.side,
        ) as model:  # fmt: skip
            model.export("folder", out)

    return export


def _set_prompt(view: Path, prompts: Mapping[str, str]) -> None:
    """Let a prompt that both roles share be put before every text: ragd asks for none."""
    if not prompts.get("document"):
        return
    path = view / _SETTINGS
    if not path.is_file():
        raise StoreError(f"{view}: the backend wrote no {_SETTINGS}", mend="use the hook")
    settings = json.loads(path.read_bytes())
    named = {**(settings.get("prompts") or {}), "document": prompts["document"]}
    settings |= {"prompts": named, "default_prompt_name": "document"}
    files.write(path, json.dumps(settings, indent=2, sort_keys=True).encode() + b"\n")


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _SEAL:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[path.relative_to(folder).as_posix()] = digest
    return found
