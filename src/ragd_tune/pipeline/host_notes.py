"""What to know of an activation in ragd before it is done, beside what it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragd_tune.ragd.provider import adapter_of, view_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragd_tune.pipeline.workshop import Workshop
    from ragd_tune.ragd.facts import HostConfig
    from ragd_tune.ragd.recalibrate import Calibration
    from ragd_tune.serve import Embedder
    from ragd_tune.store import Entry


def all_of(
    shop: Workshop,
    entry: Entry,
    facts: HostConfig,
    old: Embedder,
    found: Calibration | None,
) -> tuple[str, ...]:
    """Return every note, for ``entry`` in the place of ``old``, with the thresholds ``found``."""
    return (*_other_base(shop, entry, facts, old), *_thresholds(found))


def _other_base(shop: Workshop, entry: Entry, facts: HostConfig, old: Embedder) -> Iterator[str]:
    """Say where the proof compared the adapter with another model than the one that ragd has."""
    view, base = view_id(facts.model), entry.manifest.base
    if view is None and adapter_of(facts) is not None:
        return  # named by hand, by a key that ragd 1.0 does not have
    now = shop.store.get(view).manifest.base if view else None
    if base.fingerprint != (now.fingerprint if now else old.id):
        yield (
            f"{entry.shown} was made from {base.name} and proven against it, and ragd has "
            f"{now.name if now else old.model_name}: nothing says which of the two is better"
        )


def _thresholds(found: Calibration | None) -> Iterator[str]:
    """Say where the thresholds come from, if not from a dev split."""
    if found is None:
        yield "thresholds stay: give queries that no training saw by --data"
    elif found.split == "test":
        yield "the data set has no dev split: the thresholds are those of its test questions"


def way_to_search(entry: Entry, facts: HostConfig) -> str:
    """Say how a query adapter comes to search what ragd has indexed by another model."""
    if view_id(facts.model) is not None:
        return "go back to the base first: ragd-tune adapters rollback"
    command = f"ragd-tune train {entry.kind} --side query --base {facts.model}"
    return f"train one on the model that ragd has: {command}"
