"""Split queries into train, dev and test by document, near-duplicates on one side."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Literal

from ragd_tune.data.findings import Finding, Findings
from ragd_tune.data.groups import Unions, components
from ragd_tune.data.leaks import leaks
from ragd_tune.data.model import SPLITS, DataSet
from ragd_tune.data.text import bare
from ragd_tune.errors import UsageError

By = Literal["document", "group"]
Judged = dict[str, dict[str, float]]

_PAST = ("split-here", "not-split", "empty-split", "changed-since-written")


def split(
    data: DataSet,
    *,
    seed: int = 0,
    dev: float = 0.1,
    test: float = 0.2,
    by: By = "document",
    hold_back_known: float = 0.0,
) -> DataSet:
    """Return ``data`` under new splits; the old ones are forgotten.

    Queries that share a source document, a near-duplicate document, or are near-duplicates
    themselves, stay on one side; with ``by="group"`` also those of one topic. ``dev`` and ``test``
    are shares of all queries below 1, or numbers of queries; they are reached as nearly as such
    bundles allow, never exceeded. ``hold_back_known`` is a share of all queries that is moved from
    train to test although training has other queries on their documents: known documents, never
    leaks. The result depends on content, ids and ``seed``, not on the order of rows. Scored pairs
    keep their splits.

    :raises UnusableDataError: a side that was asked for would be empty.
    :raises UsageError: the shares leave nothing to train on, or are out of range.
    """
    judged = _merged(data)
    wanted = {"test": _number(test, judged, "test"), "dev": _number(dev, judged, "dev")}
    held = _number(hold_back_known, judged, "hold_back_known")
    if judged and sum(wanted.values()) + held >= len(judged):
        mend = "ask for smaller shares"
        raise UsageError(f"the shares leave none of {len(judged)} queries to train on", mend=mend)
    sides, notes = _dealt(data, judged, wanted, by, seed)
    if held:
        notes += _hold_back(data, sides, held, seed)
    # What reading said of the splits is past; what it said of the rows holds.
    past = tuple(note for note in data.notes if note.code not in _PAST)
    made = data.with_qrels({side: sides[side] for side in SPLITS})
    how: dict[str, object] = {"seed": seed, "dev": dev, "test": test, "by": by}
    about = {**data.about, "split": {**how, "hold_back_known": hold_back_known}}
    about.pop("fingerprint", None)
    return replace(made, about=about, notes=past + notes)


def _merged(data: DataSet) -> Judged:
    merged: Judged = {}
    for _, judged in sorted(data.qrels.items()):
        for qid, found in judged.items():
            own = merged.setdefault(qid, {})
            for did, score in found.items():
                own[did] = max(score, own.get(did, 0.0))
    return {qid: merged[qid] for qid in sorted(merged)}


def _number(asked: float, judged: Judged, name: str) -> int:
    if asked < 0 or (asked >= 1 and asked != int(asked)):
        mend = "give a share below 1 or a whole number of queries"
        raise UsageError(f"{name} is {asked}", mend=mend)
    return int(asked) if asked >= 1 else round(asked * len(judged)) or (1 if asked else 0)


def _dealt(
    data: DataSet, judged: Judged, wanted: dict[str, int], by: By, seed: int
) -> tuple[dict[str, Judged], tuple[Finding, ...]]:
    """Deal bundles to test, then dev, as they fit, in an order that the seed shuffles."""
    bundles: dict[str, list[str]] = {}
    for qid, name in bundle_names(data, judged, by).items():
        bundles.setdefault(name, []).append(qid)
    left = sorted(bundles, key=lambda name: _shuffled(seed, name))
    sides: dict[str, Judged] = {}
    for side, number in wanted.items():
        taken: set[str] = set()
        room = number
        for name in left:
            if len(bundles[name]) <= room:
                taken.add(name)
                room -= len(bundles[name])
        left = [name for name in left if name not in taken]
        sides[side] = {qid: judged[qid] for name in sorted(taken) for qid in bundles[name]}
    sides["train"] = {qid: judged[qid] for name in sorted(left) for qid in bundles[name]}
    largest = max((len(bundle) for bundle in bundles.values()), default=0)
    return sides, _sizes(data, sides, {**wanted, "train": 1}, largest)


def _sizes(
    data: DataSet, sides: dict[str, Judged], wanted: dict[str, int], largest: int
) -> tuple[Finding, ...]:
    found = Findings()
    total = sum(len(side) for side in sides.values())
    for side, number in wanted.items():
        got = len(sides[side])
        why = f"(of {total} queries, {largest} hang together through their documents)"
        if number and not got:
            mend = "add documents, ask for another share, or split by hand"
            found.error(
                "cannot-split", f"the {side} side would be empty {why}", data.source, mend=mend
            )
        elif got < number / 2 and side != "train":
            what = f"the {side} side has {got} queries, not {number} {why}"
            found.warning("small-side", what, data.source, mend="add documents or ask for less")
    found.raise_errors(data.source)
    return found.sorted()


def _shuffled(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def bundle_names(data: DataSet, judged: Judged, by: By = "document") -> dict[str, str]:
    """Return, for each query, the name of the bundle that must stay on one side."""
    documents = _near_documents(data, sorted({did for found in judged.values() for did in found}))
    queries = _near_queries(data, list(judged))
    ties: dict[str, list[Hashable]] = {}
    for qid, found in judged.items():
        ties[qid] = [("query", queries[qid]), *(("unit", documents[did]) for did in found)]
        if by == "group":
            topics = {data.queries[qid].group, *(data.corpus[did].group for did in found)}
            ties[qid] += [("group", topic) for topic in sorted(topics - {""})]
    return components(ties)


def _near_documents(data: DataSet, dids: list[str]) -> dict[str, Hashable]:
    """Return a name for the source documents that hang together by near-duplicate passages."""
    from ragd_tune.data.near import near_duplicates

    unions = Unions()
    for one, two, _ in near_duplicates([data.corpus[did].passage for did in dids]):
        unions.join(data.unit(dids[one]), data.unit(dids[two]))
    return {did: unions.find(data.unit(did)) for did in dids}


def _near_queries(data: DataSet, qids: list[str]) -> dict[str, Hashable]:
    from ragd_tune.data.near import near_duplicates, one_edit_apart

    said = [bare(data.queries[qid].text) for qid in qids]
    close = [text.replace(" ", "") for text in said]
    first: dict[str, int] = {}
    pairs: Iterable[tuple[int, int]] = [
        *((one, two) for one, two, _ in near_duplicates(said)),
        *one_edit_apart(said),
        *((first.setdefault(text, number), number) for number, text in enumerate(close)),
    ]
    unions = Unions()
    for one, two in pairs:
        unions.join(one, two)
    return {qid: unions.find(number) for number, qid in enumerate(qids)}


def _hold_back(
    data: DataSet, sides: dict[str, Judged], number: int, seed: int
) -> tuple[Finding, ...]:
    """Move up to ``number`` queries on known documents from train to test; return warnings."""
    train, test = sides["train"], sides["test"]
    asked = Counter(unit for found in train.values() for unit in {data.unit(did) for did in found})
    moved: list[str] = []
    names = _near_queries(data, list(train))
    alike = Counter(names.values())
    for qid in sorted(train, key=lambda qid: _shuffled(seed, f"known:{qid}")):
        units = {data.unit(did) for did in train[qid]}
        if (
            alike[names[qid]] == 1
            and len(moved) < number
            and all(asked[unit] > 1 for unit in units)
        ):
            asked.subtract(units)
            moved.append(qid)
    for qid in moved:
        test[qid] = train.pop(qid)
    _take_leaks_back(data, sides)
    found = Findings()
    got = len(set(moved) & set(test))
    what = f"only {got} of {number} queries on known documents can be held back"
    why = ": few documents answer several queries that differ"
    if not got:
        found.error("cannot-hold-back", what + why, data.source, mend="leave out hold_back_known")
    elif got < number / 2:
        found.warning("small-side", what + why, data.source, mend="ask for less")
    found.raise_errors(data.source)
    return found.sorted()


def _take_leaks_back(data: DataSet, sides: dict[str, Judged]) -> None:
    """Return test queries that leak to train, until none does: going back may make another leak."""
    while True:
        made = data.with_qrels({"train": sides["train"], "test": sides["test"]})
        leaked = {leak.qid for leak in leaks(made)}
        if not leaked:
            return
        for qid in sorted(leaked):
            sides["train"][qid] = sides["test"].pop(qid)
