"""Every query and every insert that reaches Chroma, compared with what lies there already.

The texts are known, so a vector tells by itself which model made it: one of the adapters ``one``,
``two`` and ``asks`` (of the query side) in the store, or their base. Used by ``orders.py``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from chromadb.api.models.Collection import Collection
from chromadb.errors import InternalError

from ragd_tune.ragd import chroma
from ragd_tune.serve.load import load, load_base

QUERY = "a boat at night"
MET: list[str] = []
"""What reached Chroma: ``query``, ``add`` or ``upsert``, in its order."""
_base: list[str] = []
_models: dict[str, Any] = {}
_query, _add, _upsert = Collection.query, Collection.add, Collection.upsert


def begin(base: str) -> None:
    """Watch every collection of chunks in this process from now on."""
    _base[:] = [base]
    watched: Any = Collection
    watched.query, watched.add, watched.upsert = query, _put("add", _add), _put("upsert", _upsert)


def models() -> dict[str, Any]:
    """Return the models that make vectors here, loaded once: what is forked later has them."""
    if not _models:
        _models["base"] = load_base(_base[0])
        _models.update({name: load(name) for name in ("one", "two", "asks")})
    return _models


def made_by(text: str, vector: Any, role: str) -> str:
    """Return the space of ``vector``: the model that makes it of ``text``; there must be one."""
    for name, model in models().items():
        if (name, role) == ("asks", "documents"):
            continue  # no document is ever embedded by it
        own = getattr(model, f"embed_{role}")([text])[0]
        if np.abs(own - np.asarray(vector, np.float32)).max() < 1e-5:
            return "base" if name == "asks" else name
    raise AssertionError(f"no model makes this of {text!r}")


def _read(collection: Any, tries: int = 40) -> Any:
    """Return all that a collection holds; Chroma cannot read while another process writes."""
    for left in reversed(range(tries)):
        try:
            return collection.get(include=["documents", "embeddings"])
        except InternalError:
            if not left:
                raise
            time.sleep(0.05)
    raise AssertionError("no try at all")


def spaces(collection: Any) -> set[str]:
    """Return the spaces of all that a collection holds."""
    held = _read(collection)
    pairs = zip(held["documents"], held["embeddings"], strict=True)
    return {made_by(text, vector, "documents") for text, vector in pairs}


def query(self: Any, query_embeddings: Any = None, **more: Any) -> Any:
    """Query, and let nothing of another space be met."""
    if self.name == chroma.DOCUMENTS:
        asked = {made_by(QUERY, vector, "queries") for vector in query_embeddings}
        held = spaces(self)
        assert held <= asked, f"a query of {asked} meets {held}"
        MET.append("query")
    return _query(self, query_embeddings=query_embeddings, **more)


def _put(name: str, original: Any) -> Any:
    """Return a collection's ``add`` or ``upsert`` that puts nothing among another space's."""

    def put(self: Any, *, documents: Any, embeddings: Any = None, **more: Any) -> None:
        if self.name == chroma.DOCUMENTS:
            pairs = zip(documents, embeddings, strict=True)
            new = {made_by(text, vector, "documents") for text, vector in pairs}
            held = spaces(self)
            assert held <= new, f"vectors of {new} are put among {held}"
            MET.append(name)
        original(self, documents=documents, embeddings=embeddings, **more)

    return put
