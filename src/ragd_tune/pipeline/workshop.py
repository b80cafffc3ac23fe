"""What every step of the pipeline works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.plan import Event
from ragd_tune.registry import Registry, discover
from ragd_tune.store import Store

if TYPE_CHECKING:
    from ragd_tune.data.cluster import Cluster


def _ignore(event: Event) -> None:
    """Observe nothing."""


def _silent(text: str, done: float) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The plugins, the store, and who wants to hear what happens.

    ``observe`` gets a run's events, ``progress`` a text and a share (0 to 1) of other work.
    A ``cluster`` does what can be spread over machines: embedding, asking and mining.
    """

    registry: Registry
    store: Store
    observe: Callable[[Event], None] = field(default=_ignore)
    progress: Callable[[str, float], None] = field(default=_silent)
    cluster: Cluster | None = None

    def tell(self, event: Event) -> None:
        """Pass ``event`` on to the observer and to every plugin that listens."""
        self.observe(event)
        self.registry.emit(event)


def workshop(
    *,
    home: Path | None = None,
    observe: Callable[[Event], None] = _ignore,
    progress: Callable[[str, float], None] = _silent,
    cluster: Cluster | None = None,
) -> Workshop:
    """Open the store at ``home`` (else ``$RAGD_TUNE_HOME``, else ``~/.ragd/tune``)."""
    return Workshop(
        registry=discover(),
        store=Store(home),
        observe=observe,
        progress=progress,
        cluster=cluster,
    )
