"""Which model each of ragd's indexes holds, which one answers, and where they do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.config import ragd_path
from ragd_tune.errors import TuneError
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import configfile
from ragd_tune.ragd.facts import HostConfig, host_config
from ragd_tune.ragd.hooking import HookState, hook_state
from ragd_tune.ragd.marker import is_empty, read_marker
from ragd_tune.ragd.provider import adapter_of, view_id
from ragd_tune.ragd.view import is_sound

_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """One index: the model whose vectors it holds, their space, whether it is finished, used."""

    path: Path
    holds: str
    space: str
    state: str
    in_use: bool

    def cells(self) -> tuple[str, ...]:
        """Return the columns of a table."""
        mark = "yes" if self.in_use else ""
        return self.path.name, self.holds, self.space[:_SHORT], self.state, mark


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """What ragd is set up with, and what does not fit."""

    config: Path
    found: bool
    documents: str
    queries: str
    reranker: str
    hook: HookState
    indexes: tuple[IndexState, ...]
    warnings: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Return (what, value) for a table."""
        hook = self.hook.state + ("" if self.hook.tested else ", ragd untested here")
        return [
            ("configuration", str(self.config) if self.found else f"{self.config}: none"),
            ("ragd in this environment", self.hook.ragd or "none"),
            ("embeds documents", self.documents),
            ("embeds queries", self.queries),
            ("sorts results", self.reranker),
            ("hook", hook),
        ]

    def to_json(self) -> dict[str, object]:
        """Return it as a program reads it."""
        return {
            **{name.replace(" ", "_"): value for name, value in self.rows()},
            "indexes": [
                {
                    "path": str(one.path),
                    "holds": one.holds,
                    "space": one.space,
                    "state": one.state,
                    "in_use": one.in_use,
                }
                for one in self.indexes
            ],
            "warnings": list(self.warnings),
        }


def host_status(shop: Workshop) -> HostStatus:
    """Look at ragd's configuration, its indexes, the store and the hook. Loads no model."""
    config = ragd_path()
    if config.is_file():
        facts = host_config(configfile.parse(configfile.read(config), str(config)))
    else:
        facts = HostConfig(data_dir=config.parent)
    hook = hook_state()
    indexes = tuple(_indexes(facts))
    documents, queries, reranker = _serving(shop, facts, hook)
    return HostStatus(
        config=config, found=config.is_file(), documents=documents, queries=queries,
        reranker=reranker, hook=hook, indexes=indexes,
        warnings=tuple(_warnings(shop, facts, hook, config)),
    )  # fmt: skip


def _indexes(facts: HostConfig) -> Iterator[IndexState]:
    """Yield the index in use first, then the others beside it."""
    others = sorted(
        one.parent for one in facts.data_dir.glob("*/chroma.sqlite3") if one.parent.is_dir()
    )
    for path in (facts.chroma_path, *(one for one in others if one != facts.chroma_path)):
        in_use = path == facts.chroma_path
        marker = read_marker(path)
        if marker is not None:
            yield IndexState(
                path=path, holds=marker.name, space=marker.space, state=marker.state, in_use=in_use
            )
        elif (path / "chroma.sqlite3").is_file() or in_use:
            yield IndexState(
                path=path, holds="ragd's own model", space="", state="not noted", in_use=in_use
            )


def _serving(shop: Workshop, facts: HostConfig, hook: HookState) -> tuple[str, str, str]:
    ref = adapter_of(facts)
    documents = _shown(shop, ref) if ref else facts.model
    active, reranker = shop.store.active("embedder"), shop.store.active("reranker")
    queries, asks = documents, hook.state == "enabled" and hook.tested
    if active is not None and active.id and asks and _side(shop, active.id) == "query":
        queries = _shown(shop, active.id)
    sorts = _shown(shop, reranker.id) if reranker and reranker.id else "nothing"
    return documents, queries, sorts if asks or sorts == "nothing" else f"{sorts}, once hooked"


def _shown(shop: Workshop, ref: str) -> str:
    try:
        entry = shop.store.get(ref)
    except TuneError as error:
        return f"{ref[:_SHORT]}, which cannot be used: {error.message}"
    return f"{entry.shown} ({entry.id[:_SHORT]})"


def _side(shop: Workshop, ref: str) -> str:
    try:
        return shop.store.get(ref).manifest.side
    except TuneError:
        return ""


def _warnings(shop: Workshop, facts: HostConfig, hook: HookState, config: Path) -> Iterator[str]:
    """Yield what does not fit, each with its mend."""
    ref = adapter_of(facts)
    named = _id(shop, ref) if ref else None
    if ref and named is None:
        yield f"ragd names the adapter {ref[:_SHORT]}, which is not in the store: roll back"
    if named and view_id(facts.model) and not is_sound(Path(facts.model)):
        yield f"the view {facts.model} is damaged: activate the adapter again"
    yield from _about_index(facts, ref, named)
    if config.is_file():
        yield from _about_active(shop, named, hook)
    if hook.state == "stale":
        yield "the hook is of another version of ragd-tune: run `ragd-tune host enable` again"
    if hook.state == "enabled" and not hook.tested:
        yield f"ragd {hook.ragd} was not tested with the hook, which leaves it alone"
    if (shop.store.root / "host" / "pending.json").is_file():
        yield "a change of ragd's configuration was begun and not finished: the next one finishes"


def _about_index(facts: HostConfig, ref: str | None, named: str | None) -> Iterator[str]:
    marker = read_marker(facts.chroma_path)
    if marker is None:
        if ref and not is_empty(facts.chroma_path):
            yield f"{facts.chroma_path} was not made with {ref[:_SHORT]}: ragd-tune host reindex"
        return
    if marker.state != "ready":
        yield f"{facts.chroma_path} is not finished: ragd-tune host reindex"
    if ref is None or (named is not None and marker.model != named):
        yield f"{facts.chroma_path} holds vectors of {marker.name}, and ragd has {facts.model}"


def _about_active(shop: Workshop, named: str | None, hook: HookState) -> Iterator[str]:
    active = shop.store.active("embedder")
    if active is None or active.id is None or active.id == named:
        return
    side = _side(shop, active.id)
    if side == "both":
        yield (
            f"the active embedder is {_shown(shop, active.id)}, and ragd does not use it: "
            "activate it again"
        )
    elif side == "query" and hook.state != "enabled":
        yield "an adapter of the query side is active, and only the hook uses it: host enable"


def _id(shop: Workshop, ref: str) -> str | None:
    try:
        return shop.store.get(ref).id
    except TuneError:
        return None
