"""Embedding ragd's index again outside an activation: ahead of one, or to catch up after one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.config import ragd_path
from ragd_tune.errors import UsageError
from ragd_tune.pipeline.host_plan import must_be_usable, open_adapter, target_of
from ragd_tune.pipeline.hosting import Progress, build
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import configfile
from ragd_tune.ragd.facts import HostConfig, host_config
from ragd_tune.ragd.marker import read_marker
from ragd_tune.ragd.switch import Switch
from ragd_tune.store import files

if TYPE_CHECKING:
    from ragd_tune.ragd.reindex import Reindexed


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a re-indexing did; ``result`` is None where nothing needed embedding."""

    sentence: str
    index: Path | None = None
    result: Reindexed | None = None

    def to_json(self) -> dict[str, object]:
        """Return it as a program reads it."""
        told = asdict(self.result) if self.result else None
        return {
            "sentence": self.sentence,
            "index": str(self.index) if self.index else None,
            "result": told,
        }


def reindex(
    shop: Workshop,
    ref: str | None = None,
    *,
    source: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Done:
    """Bring the index of ``ref`` (the active embedder if None) to hold what ``source`` holds.

    ``source`` is the index that the chunks are taken from: what ragd uses now, or where that is
    the index of ``ref`` itself, the one that it was made from: then what is missing is added, and
    nothing is taken out, because documents may have been indexed since. ``fresh`` removes what an
    earlier try left, but never the index that ragd uses.

    :raises UsageError: there is no adapter, or nothing to take chunks from.
    :raises StoreError: a check failed; ragd keeps what it has.
    """
    entry = shop.store.get(ref or _active(shop))
    if entry.manifest.side == "query":
        return Done(sentence=f"{entry.shown} embeds queries only: nothing needs embedding again")
    config = ragd_path()
    with Switch(shop.store, config).alone():
        facts = host_config(configfile.parse(configfile.read(config), str(config)))
        must_be_usable(entry, facts)
        with open_adapter(shop, entry.id) as embedder:
            target = target_of(facts, embedder.space)
        source = _source(source, target, facts)
        if fresh:
            _clear(target, facts)
        in_use = target.resolve() == facts.chroma_path.resolve()
        result = build(
            shop, entry.id, source, target, batch=facts.batch_size, adding=in_use,
            progress=progress,
        )  # fmt: skip
    after = "ragd uses it" if in_use else f"switch: ragd-tune adapters activate {entry.shown}"
    return Done(
        sentence=f"{target} holds {result.chunks} chunks of {entry.shown}, {result.embedded} of "
        f"them embedded now; {after}",
        index=target,
        result=result,
    )


def _active(shop: Workshop) -> str:
    active = shop.store.active("embedder")
    if active is None or active.id is None:
        raise UsageError("no adapter is active", mend="name one: ragd-tune host reindex ADAPTER")
    return active.id


def _source(named: Path | None, target: Path, facts: HostConfig) -> Path:
    """Return where the chunks are taken from."""
    if named is not None:
        return named.expanduser()
    if facts.chroma_path.resolve() != target.resolve():
        return facts.chroma_path
    marker = read_marker(target)
    if marker is None or not marker.source:
        raise UsageError(
            f"{target} is what ragd uses, and it does not say where it was taken from",
            mend="name the other index: ragd-tune host reindex --from FOLDER",
        )
    return Path(marker.source)


def _clear(target: Path, facts: HostConfig) -> None:
    """Remove what an earlier try left.

    :raises UsageError: ragd uses it, or it is not ours.
    """
    if target.resolve() == facts.chroma_path.resolve():
        raise UsageError(f"ragd uses {target}", mend="go back first: ragd-tune adapters rollback")
    if target.exists():
        if read_marker(target) is None:
            raise UsageError(f"ragd-tune did not make {target}", mend="move that folder away")
        files.remove_tree(target)
