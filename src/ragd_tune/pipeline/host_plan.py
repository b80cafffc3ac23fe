"""What activating an adapter will change in ragd: worked out before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.config import ragd_path
from ragd_tune.errors import StoreError, UsageError
from ragd_tune.pipeline import host_notes
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import configfile, view
from ragd_tune.ragd.facts import WRITTEN, HostConfig, host_config
from ragd_tune.ragd.marker import is_empty, read_marker
from ragd_tune.ragd.switch import Switch
from ragd_tune.store import Entry, activation

if TYPE_CHECKING:
    from ragd_tune.data import DataSet
    from ragd_tune.ragd.recalibrate import Calibration
    from ragd_tune.serve import Embedder

_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """What an activation will change; nothing has changed yet.

    ``documents`` and ``chunks`` will be embedded again, in about ``seconds``; ``target`` is None
    where nothing needs embedding (an adapter of the query side, or an empty index).
    """

    entry: Entry
    config: Path
    before: bytes
    after: bytes
    source: Path
    target: Path | None
    documents: int
    chunks: int
    seconds: float
    batch: int
    calibration: Calibration | None
    notes: tuple[str, ...]
    forced: bool

    @property
    def diff(self) -> str:
        """What changes in ragd's configuration, as a unified diff."""
        return configfile.diff(self.before, self.after, str(self.config))


def plan_activation(
    shop: Workshop, ref: str, *, data: Path | None = None, force: bool = False
) -> HostPlan:
    """Say what activating ``ref`` will change in ragd; read, measure and change nothing.

    Only what a dead process began is finished first. ``data`` holds queries that no training saw,
    for the thresholds.

    :raises NotProvenError: its proof does not carry it, and no ``force``.
    :raises UsageError: ragd as it is set up cannot use this adapter; says why and what can.
    """
    from ragd_tune.ragd.provider import open_documents

    entry = shop.store.get(ref)
    proven = activation.is_proven(shop.store.records(entry.id))
    if not proven and not force:
        raise activation.not_proven(shop.store.records(entry.id), entry.shown)
    config = ragd_path()
    Switch(shop.store, config).finish()
    before = configfile.read(config)
    facts = host_config(configfile.parse(before, str(config)))
    must_be_usable(entry, facts)
    shop.progress("loading the models", 0.0)
    with (
        open_adapter(shop, entry.id) as after,
        open_documents(facts, home=shop.store.root, registry=shop.registry) as old,
    ):
        target = _target(entry, facts, after, old)
        documents, chunks, seconds = _work(facts.chroma_path, target, after)
        found = _calibrate(shop, entry, data, facts, old, after)
        changes = _changes(shop, entry, facts, after, target, found)
        notes = host_notes.all_of(shop, entry, facts, old, found)
    return HostPlan(
        entry=entry, config=config, before=before,
        after=configfile.edited(before, changes, str(config)), source=facts.chroma_path,
        target=target, documents=documents, chunks=chunks, seconds=seconds,
        batch=facts.batch_size, calibration=found, notes=notes, forced=not proven,
    )  # fmt: skip


def must_be_usable(entry: Entry, facts: HostConfig) -> None:
    """Refuse what ragd, as it is set up, cannot use.

    :raises UsageError: says why, and the way that works.
    """
    from ragd_tune.ragd.hooking import is_enabled

    if facts.late_chunking:
        raise UsageError(
            "ragd embeds documents by late chunking, with a model of its own",
            mend="set embedding.late_chunking: false, and index again",
        )
    if facts.encrypted:
        raise UsageError(
            "ragd's index is encrypted, and ragd-tune does not write texts in the open beside it",
            mend="use an index without encryption",
        )
    if (why := view.needs_hook(entry)) and not is_enabled():
        raise UsageError(
            f"plain ragd cannot use {entry.shown}: {why}",
            mend="ragd-tune host enable (in ragd's environment), then activate it",
        )


def open_adapter(shop: Workshop, ref: str) -> Embedder:
    """Load an adapter of the store."""
    from ragd_tune.serve.load import load

    return load(ref, slot="embedder", home=shop.store.root, registry=shop.registry)


def target_of(facts: HostConfig, space: str) -> Path:
    """Return the folder of the index of a space: one for each, beside ragd's own."""
    return facts.data_dir / f"chroma-{space[:_SHORT]}"


def _target(entry: Entry, facts: HostConfig, after: Embedder, old: Embedder) -> Path | None:
    """Return the folder of the new index; None where the documents' vectors stay.

    :raises StoreError: a query adapter searches another space than the index holds.
    """
    marker = read_marker(facts.chroma_path)
    space = marker.space if marker else old.space
    if entry.manifest.side == "query" and marker is None:
        _must_be_the_models(facts.chroma_path, old)
    if space == after.space:
        return None
    if entry.manifest.side == "query":
        raise StoreError(
            f"{entry.shown} searches what its base embeds, and ragd's documents are embedded by "
            f"{old.model_name}",
            mend=host_notes.way_to_search(entry, facts),
        )
    return target_of(facts, after.space)


def _must_be_the_models(index: Path, old: Embedder) -> None:
    """Refuse an index whose vectors are not what ragd's own model makes of its texts.

    :raises StoreError: somebody changed ragd's model after indexing.
    """
    from ragd_tune.ragd.reindex import differs

    if not is_empty(index) and differs(index, old):
        raise StoreError(
            f"the vectors in {index} are not those of {old.model_name}, which ragd is set up with",
            mend="set embedding.model to the model that made them, or index anew",
        )


def _work(source: Path, target: Path | None, after: Embedder) -> tuple[int, int, float]:
    from ragd_tune.ragd import reindex

    if target is None or is_empty(source):
        return 0, 0, 0.0
    documents, chunks = reindex.count(source)
    return documents, chunks, reindex.measure(source, after)


def _calibrate(
    shop: Workshop,
    entry: Entry,
    data: Path | None,
    facts: HostConfig,
    old: Embedder,
    after: Embedder,
) -> Calibration | None:
    """Find new thresholds on ``data``, else on the data set in the store that made the adapter."""
    from ragd_tune.ragd.recalibrate import recalibrate

    found = _data(shop, entry, data)
    if found is None:
        return None
    shop.progress("finding thresholds", 0.5)
    return recalibrate(found, facts, old, after)


def _data(shop: Workshop, entry: Entry, data: Path | None) -> DataSet | None:
    from ragd_tune.data import read

    if data is not None:
        return read(data)
    for record in reversed(shop.store.records(entry.id, "proof")):
        told = record.payload.get("data") or {}
        folder = shop.store.datasets / Path(str(told.get("name"))).name
        if (folder / "dataset.json").is_file():
            found = read(folder)
            if found.fingerprint == told.get("fingerprint"):
                return found
    return None


def _changes(
    shop: Workshop,
    entry: Entry,
    facts: HostConfig,
    after: Embedder,
    target: Path | None,
    calibration: Calibration | None,
) -> Mapping[configfile.Key, configfile.Value]:
    """Return the values to write, leaving out those that are there."""
    wanted: dict[configfile.Key, configfile.Value] = {}
    if entry.manifest.side == "both":
        wanted["embedding", "model"] = str(shop.store.view_dir(entry.id))
        wanted["embedding", "dimension"] = after.dimension
    if target is not None:
        wanted["storage", "chroma_dir"] = target.name
    for one in calibration.thresholds if calibration else ():
        wanted["retrieval" if one.key == "min_score" else "chat", one.key] = one.after
    return {key: value for key, value in wanted.items() if getattr(facts, WRITTEN[key]) != value}
