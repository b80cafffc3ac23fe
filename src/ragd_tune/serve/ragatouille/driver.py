"""Runs in RAGatouille's own environment, by its interpreter; not imported by ragd-tune.

Reads one JSON job a line from standard input and writes one JSON answer a line to what was its
standard output. What the libraries print goes to standard error, else it would be taken for one.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

_ANSWERS: Any = None
_MODELS: dict[str, Any] = {}
_INDEXES: dict[str, Any] = {}


def _ragatouille() -> Any:
    return importlib.import_module("ragatouille").RAGPretrainedModel


def _model(path: str) -> Any:
    if path not in _MODELS:
        _MODELS.clear()
        _MODELS[path] = _ragatouille().from_pretrained(path, verbose=0)
    return _MODELS[path]


def check(job: dict[str, Any]) -> dict[str, Any]:
    """Say which versions are here."""
    metadata = importlib.import_module("importlib.metadata")
    _ragatouille()
    names = ("ragatouille", "colbert-ai", "torch", "transformers")
    return {"versions": {name: metadata.version(name) for name in names}}


def scores(job: dict[str, Any]) -> dict[str, Any]:
    """Return MaxSim by the model's own checkpoint: one row a query.

    Not by ``rerank()``, which takes negative maxima for 0 and ignores the document's length.
    """
    loaded = _model(job["model"]).model.inference_ckpt
    queries = loaded.queryFromText(job["queries"], bsize=32).float().cpu().numpy()
    flat, lengths = loaded.docFromText(job["documents"], bsize=32, keep_dims="flatten")
    flat = flat.float().cpu().numpy()
    rows = [[] for _ in queries]  # type: list[list[float]]
    start = 0
    for length in lengths:
        document = flat[start : start + length]
        start += length
        for row, query in zip(rows, queries):  # noqa: B905 - any Python may run this
            row.append(float((query @ document.T).max(axis=1).sum()))
    return {"scores": rows}


def index(job: dict[str, Any]) -> dict[str, Any]:
    """Build RAGatouille's index of some documents; return its folder."""
    model = _ragatouille().from_pretrained(job["model"], verbose=0, index_root=job["root"])
    path = model.index(
        collection=job["documents"],
        document_ids=job["ids"],
        index_name=job["name"],
        overwrite_index=True,
        max_document_length=job["length"],
        split_documents=False,
    )
    return {"index": os.path.abspath(str(path))}  # noqa: PTH100 - links stay what they are


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Search an index that was built before: ids and scores, the best first."""
    path = job["index"]
    if path not in _INDEXES:
        _INDEXES.clear()
        _INDEXES[path] = _ragatouille().from_index(path, verbose=0)
    found = []
    for query in job["queries"]:
        made = _INDEXES[path].search(query, k=job["k"]) or []
        found.append([[one["document_id"], float(one["score"])] for one in made])
    return {"found": found}


_JOBS = {"check": check, "scores": scores, "index": index, "search": search}


def _answer(value: dict[str, Any]) -> None:
    _ANSWERS.write(json.dumps(value) + "\n")
    _ANSWERS.flush()


def main() -> None:
    """Answer jobs until standard input ends."""
    global _ANSWERS
    _ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            _answer({"done": _JOBS[job["do"]](job)})
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
            _answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":  # colbert-ai starts processes that import this file again
    main()
