"""Check a data set, against a base model's tokenizer where one is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragd_tune.data import DataSet, Report, check, read
from ragd_tune.data.power import ASSUMED, Spread, measured
from ragd_tune.errors import DataError
from ragd_tune.store import Store


def check_data(
    path: Path,
    *,
    base: str | None = None,
    max_length: int | None = None,
    strict: bool = False,
    store: Store | None = None,
) -> Report:
    """Read and check the data set at ``path``.

    With ``base``, lengths are counted in its tokens and held against ``max_length`` (tokens; the
    base's own limit when not given). Proofs in ``store`` (the default one if None) tell how much
    results on this set vary.

    :raises DataError: it cannot be read, or leaks under ``strict``.
    """
    data = read(path)
    spread = known_spread(store or Store(), data)
    if base is None:
        return check(data, strict=strict, spread=spread)
    from ragd_tune.models import length_limit, resolve

    found = resolve(base)
    tokenizer = found.path / "tokenizer.json"
    if not tokenizer.is_file():
        raise DataError(f"{found.path}: has no tokenizer.json, so its tokens cannot be counted")
    limit = max_length or length_limit(found.path)
    return check(data, tokenizer=tokenizer, max_tokens=limit, strict=strict, spread=spread)


def known_spread(store: Store, data: DataSet) -> Spread:
    """Return how much results vary on the test split of ``data``, as its last proof measured it.

    What no proof in this store measured is assumed. Proofs that came from elsewhere do not count.
    """
    last = ("", ASSUMED)
    for entry in store.list():
        for record in store.records(entry.id, "proof"):
            told = record.payload.get("data")
            wanted = {"fingerprint": data.fingerprint, "split": "test"}
            if record.imported or not isinstance(told, dict) or not wanted.items() <= told.items():
                continue
            if record.at >= last[0] and (spread := _spread(record.payload, entry.shown)):
                last = (record.at, spread)
    return last[1]


def _spread(payload: Mapping[str, Any], shown: str) -> Spread | None:
    try:
        queries = payload["report"]["queries"]
        if payload["report"]["gate_metric"] != "ndcg@10":
            return None
        differences = {one["id"]: one["after"] - one["before"] for one in queries}
        return measured(differences, {one["id"]: one["cluster"] for one in queries}, shown)
    except (KeyError, TypeError, ValueError):
        return None  # an older record, or one query: nothing is measured
