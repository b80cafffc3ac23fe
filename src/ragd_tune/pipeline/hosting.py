"""Let ragd use an adapter, and take it back: embed, check, switch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.config import ragd_path
from ragd_tune.errors import StoreError
from ragd_tune.pipeline.host_plan import HostPlan, open_adapter
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import chroma, configfile, view
from ragd_tune.ragd.facts import WRITTEN, host_config
from ragd_tune.ragd.marker import Marker, read_marker
from ragd_tune.ragd.provider import view_id
from ragd_tune.ragd.switch import Change, Switch
from ragd_tune.store import activation

if TYPE_CHECKING:
    from ragd_tune.ragd.reindex import Reindexed

Progress = Callable[[int, int], None]


def host_found() -> Path | None:
    """Return ragd's configuration; None where ragd was not set up."""
    path = ragd_path()
    return path if path.is_file() else None


def carry_out(shop: Workshop, plan: HostPlan, *, progress: Progress | None = None) -> Change:
    """Embed what has to be embedded, check it, and switch ragd over in one step.

    A killed call leaves ragd as it was; the same activation goes on where it was.
    """
    store, switch = shop.store, Switch(shop.store, plan.config)
    with switch.alone():
        if plan.entry.manifest.side == "both":
            view.make_view(store, plan.entry, view.open_exporter(store, plan.entry))
        _index(shop, plan, progress)
        if plan.calibration is not None:
            store.record(plan.entry.id, "calibration", plan.calibration.to_json())
        active, last = store.active("embedder"), switch.in_force()
        # A second activation of the same changes nothing, and so is nothing to take back.
        if plan.before == plan.after and active and last and active.id == plan.entry.id:
            return last
        return switch.carry_out(
            plan.before, plan.after, adapter=plan.entry.id,
            previous=active.id if active else None, forced=plan.forced,
        )  # fmt: skip


def _index(shop: Workshop, plan: HostPlan, progress: Progress | None) -> None:
    """Build the new index; where ragd has indexed nothing yet, only say whose it will be."""
    if plan.target is None:
        return
    if plan.chunks:
        build(shop, plan.entry.id, plan.source, plan.target, batch=plan.batch, progress=progress)
        return
    with open_adapter(shop, plan.entry.id) as embedder:
        Marker(
            space=embedder.space, model=embedder.id, name=embedder.model_name,
            dimension=embedder.dimension, source=str(plan.source), state="ready",
        ).write(plan.target)  # fmt: skip


def build(
    shop: Workshop,
    ref: str,
    source: Path,
    target: Path,
    *,
    batch: int = 64,
    adding: bool = False,
    progress: Progress | None = None,
) -> Reindexed:
    """Bring the index in ``target`` to hold what ``source`` holds, embedded by ``ref``.

    ``adding`` only adds what ``target`` lacks.
    """
    from ragd_tune.ragd.reindex import reindex

    draft = shop.store.draft()  # the snapshot holds texts: if this dies, the next command sweeps it
    try:
        with open_adapter(shop, ref) as embedder:
            return reindex(
                source, target, embedder, adding=adding, batch=batch, scratch=draft,
                progress=progress or (lambda done, total: None),
            )  # fmt: skip
    finally:
        shop.store.discard(draft)


def roll_back(shop: Workshop) -> tuple[Change | None, tuple[str, ...]]:
    """Take the last activation of an embedder back, in ragd's configuration and in the store.

    Return what changed in ragd (None if that activation had not touched it) and what to know.

    :raises StoreError: nothing is left to undo.
    """
    store, config = shop.store, ragd_path()
    switch = Switch(store, config)
    with switch.alone():
        active = store.active("embedder")
        change = switch.in_force()
        if change is None or active is None or change.adapter != active.id:
            store.rollback("embedder")
            return None, ()
        target = activation.rollback_target(store.layout, "embedder")
        previous = target[1] if target else None
        if change.previous == active.id:  # only ragd's thresholds changed then, not the adapter
            previous = active.id
        there = configfile.read(switch.config)
        kept = switch.kept(change.before)
        notes: tuple[str, ...] = ()
        if there != switch.kept(change.after):
            kept = _taken_back(there, kept, switch.kept(change.after), str(config))
            notes = (f"{config} was changed since; only what the activation wrote is taken back",)
        notes += _left_behind(there, kept, str(config))
        _must_be_there(shop, previous, kept, str(config))
        done = switch.carry_out(
            there, kept, adapter=previous, previous=active.id,
            undoes=change.number,
        )  # fmt: skip
    return done, notes


def _left_behind(there: bytes, kept: bytes, where: str) -> tuple[str, ...]:
    """Say which documents were indexed since, and are not where ragd goes back to."""
    now, then = (host_config(configfile.parse(raw, where)).chroma_path for raw in (there, kept))
    there_now, there_then = chroma.documents_in(now), chroma.documents_in(then)
    missing = sorted({there_now[key] for key in there_now.keys() - there_then.keys()})
    if not missing:
        return ()
    named = ", ".join(missing[:3]) + (f" … ({len(missing)} in all)" if len(missing) > 3 else "")
    return (f"indexed since the activation, so index again: {named}",)


def _must_be_there(shop: Workshop, adapter: str | None, kept: bytes, where: str) -> None:
    """Refuse a way back to an adapter or an index that is gone; make its view again if need be.

    :raises StoreError: nothing has changed.
    """
    facts = host_config(configfile.parse(kept, where))
    if adapter is not None:
        found = [entry for entry in shop.store.list() if entry.id == adapter]
        problems = [one.problem for one in shop.store.verify(adapter)] if found else ["it is gone"]
        if problems:
            raise StoreError(
                f"the adapter {adapter[:12]}, which served before, cannot be used: {problems[0]}",
                mend="import it again, or activate another one",
            )
        if view_id(facts.model) == adapter:
            view.make_view(shop.store, found[0], view.open_exporter(shop.store, found[0]))
    marker = read_marker(facts.chroma_path)
    if view_id(facts.model) is not None and marker is None:
        raise StoreError(
            f"{facts.chroma_path}: the index that ragd had before is gone",
            mend=f"make it again: ragd-tune host reindex {adapter[:12] if adapter else ''}".strip(),
        )


def _taken_back(there: bytes, before: bytes, after: bytes, where: str) -> bytes:
    """Return ``there`` with the values that the activation wrote set back to what they were."""
    old, new = (host_config(configfile.parse(raw, where)) for raw in (before, after))
    back = {
        key: getattr(old, name)
        for key, name in WRITTEN.items()
        if getattr(old, name) != getattr(new, name)
    }
    return configfile.edited(there, back, where)
