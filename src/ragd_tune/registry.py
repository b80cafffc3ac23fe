"""Find plugins, block them, keep the broken ones by name, and direct a call to one backend."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pluggy

from ragd_tune import hookspecs
from ragd_tune.backends import Backend
from ragd_tune.choose import Offer
from ragd_tune.errors import NotInstalledError, PluginError
from ragd_tune.kinds import ModelKind
from ragd_tune.objectives import CORE_OBJECTIVES, Objective

if TYPE_CHECKING:
    from ragd_tune.plan import Event

log = logging.getLogger(__name__)

GROUP = "ragd_tune"
DISABLE = "RAGD_TUNE_DISABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One plugin, working or not. ``state`` is ``loaded``, ``broken`` or ``blocked``."""

    name: str
    distribution: str
    version: str
    state: str
    error: str = ""


@dataclass
class _Declared:
    """What one plugin brings, by name."""

    backends: dict[str, Backend] = field(default_factory=dict)
    kinds: dict[str, ModelKind] = field(default_factory=dict)
    objectives: dict[str, Objective] = field(default_factory=dict)


class Registry:
    """All plugins of one process. Make one by :func:`discover`, or empty for tests."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[str, PluginInfo] = {}
        self._declared: dict[str, _Declared] = {}
        self._objectives = {objective.id: objective for objective in CORE_OBJECTIVES}
        self._callers: dict[tuple[str, str], Callable[..., Any]] = {}

    # -- registering -------------------------------------------------------------------------

    def register(
        self, plugin: object, *, name: str, distribution: str = "", version: str = ""
    ) -> bool:
        """Register ``plugin`` whole, or record why not; return whether it is in.

        A plugin whose name, backend, kind or objective is taken is not registered, and neither
        is one that implements a directed hook without declaring a backend (no call would reach
        it), an unknown hook, or whose declarations raise.
        """
        try:
            self._add(plugin, name, distribution)
        except Exception as error:  # noqa: BLE001 - a broken plugin must not take the host down
            if self._manager.get_plugin(name) is plugin:
                self._manager.unregister(plugin)
            self._fail(name, distribution, version, error)
            return False
        info = PluginInfo(name=name, distribution=distribution, version=version, state="loaded")
        self._plugins[name] = info
        self._callers.clear()  # a cached caller would let the newcomer slip in
        return True

    def _add(self, plugin: object, name: str, distribution: str) -> None:
        if name in self._plugins:
            other = self._plugins[name].distribution or "an unnamed distribution"
            raise ValueError(f"the name {name!r} is taken by {other} and wanted by {distribution}")
        self._manager.register(plugin, name=name)
        self._manager.check_pending()
        declared = self._collect(plugin)
        self._refuse_duplicates(declared, distribution)
        _refuse_unreachable(self._manager, plugin, declared)
        self._declared[name] = declared
        self._objectives.update(declared.objectives)

    def _collect(self, plugin: object) -> _Declared:
        others = [one for one in self._manager.get_plugins() if one is not plugin]

        def ask(hook: str) -> list[Any]:
            caller = self._manager.subset_hook_caller(hook, others)
            return [item for answer in caller() for item in answer]

        declared = _Declared()
        for backend in ask("ragd_tune_backends"):
            _put(declared.backends, backend.name, backend, Backend)
        for kind in ask("ragd_tune_model_kinds"):
            _put(declared.kinds, kind.name, kind, ModelKind)
        for objective in ask("ragd_tune_objectives"):
            _put(declared.objectives, objective.id, objective, Objective)
        return declared

    def _refuse_duplicates(self, declared: _Declared, distribution: str) -> None:
        for what in ("backends", "kinds", "objectives"):
            for item in getattr(declared, what):
                owner = self._owner(what, item)
                if owner:
                    raise ValueError(
                        f"{what[:-1]} {item!r} comes from both {owner} and {distribution}"
                    )

    def _owner(self, what: str, item: str) -> str:
        if what == "objectives" and item in {one.id for one in CORE_OBJECTIVES}:
            return "ragd-tune"
        for name, declared in self._declared.items():
            if item in getattr(declared, what):
                return self._plugins[name].distribution or name
        return ""

    def _fail(self, name: str, distribution: str, version: str, error: BaseException) -> None:
        log.warning("plugin %s (%s) is broken: %s", name, distribution, error)
        key = name
        while key in self._plugins:  # keep both: the one that has the name, and the one refused
            key += "'"
        self._plugins[key] = PluginInfo(
            name=name,
            distribution=distribution,
            version=version,
            state="broken",
            error=f"{type(error).__name__}: {error}",
        )

    def load(self, points: Iterable[metadata.EntryPoint], blocked: Iterable[str] = ()) -> None:
        """Load entry points, sorted by name; nothing that goes wrong in one stops the others."""
        names = set(blocked)
        for point in sorted(points, key=lambda p: (p.name, p.value)):
            dist = point.dist
            title, version = (dist.name, dist.version) if dist else ("", "")
            if point.name in names:
                self._plugins[point.name] = PluginInfo(
                    name=point.name, distribution=title, version=version, state="blocked"
                )
                continue
            try:
                plugin = point.load()
            # A plugin's import may run anything, sys.exit() included.
            except (Exception, SystemExit) as error:  # noqa: BLE001
                self._fail(point.name, title, version, error)
                continue
            self.register(plugin, name=point.name, distribution=title, version=version)

    # -- looking up --------------------------------------------------------------------------

    @property
    def plugins(self) -> list[PluginInfo]:
        """All plugins by name, the broken and the blocked too."""
        return [info for _, info in sorted(self._plugins.items())]

    @property
    def backends(self) -> Mapping[str, Backend]:
        """Backends by name."""
        return self._all("backends")

    @property
    def kinds(self) -> Mapping[str, ModelKind]:
        """Kinds of model by name."""
        return self._all("kinds")

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """Objectives by id, the core's own included."""
        return dict(sorted(self._objectives.items()))

    def brought(self, plugin: str) -> tuple[str, ...]:
        """Return the names of what a plugin declares, as ``backend cpu``."""
        declared = self._declared.get(plugin, _Declared())
        return (
            *(f"backend {name}" for name in sorted(declared.backends)),
            *(f"kind {name}" for name in sorted(declared.kinds)),
            *(f"objective {name}" for name in sorted(declared.objectives)),
        )

    def _all(self, what: str) -> dict[str, Any]:
        return dict(
            sorted(item for one in self._declared.values() for item in getattr(one, what).items())
        )

    def offers(self) -> list[Offer]:
        """Return every backend with what it finds on this machine."""
        return [Offer(backend=one, found=one.detect()) for one in self.backends.values()]

    def backend(self, name: str) -> Backend:
        """Return the backend ``name``.

        :raises PluginError: it is broken or blocked; carries its own error.
        :raises NotInstalledError: there is none of that name.
        """
        found: Backend = self._get("backends", name)
        return found

    def kind(self, name: str) -> ModelKind:
        """Return the kind of model ``name``; raises as :meth:`backend`."""
        found: ModelKind = self._get("kinds", name)
        return found

    def _get(self, what: str, name: str) -> Any:
        have = self._all(what)
        if name in have:
            return have[name]
        for info in self._plugins.values():
            if info.name == name and info.state == "broken":
                raise PluginError(
                    f"the plugin {name} ({info.distribution}) is broken: {info.error}",
                    mend=f"pip install --force-reinstall {info.distribution or name}",
                )
            if info.name == name and info.state == "blocked":
                raise PluginError(f"the plugin {name} is blocked", mend=f"look at ${DISABLE}")
        word = {"backends": "backend", "kinds": "kind of model"}[what]
        known = ", ".join(have) or "none"
        raise NotInstalledError(
            f"there is no {word} {name!r}; installed: {known}",
            mend=f"pip install ragd-tune-{name}",
        )

    # -- calling -----------------------------------------------------------------------------

    def call(self, backend: str, hook: str, **arguments: object) -> Any:
        """Call a directed hook on the plugin of one backend; wrappers of all plugins run.

        :raises NotInstalledError: the backend is not there.
        :raises PluginError: the plugin does not implement the hook.
        """
        key = (backend, hook)
        if key not in self._callers:
            self._callers[key] = self._direct(backend, hook)
        answer = self._callers[key](**arguments)
        if answer is None:
            raise PluginError(f"the backend {backend} does not answer {hook}")
        return answer

    def _direct(self, backend: str, hook: str) -> Callable[..., Any]:
        self.backend(backend)
        others = [
            self._manager.get_plugin(name)
            for name, declared in self._declared.items()
            if declared.backends and backend not in declared.backends
        ]
        return self._manager.subset_hook_caller(hook, others)

    def emit(self, event: Event) -> None:
        """Broadcast ``event`` to observers. One that raises is logged and never stops a run."""
        for implementation in self._manager.hook.ragd_tune_event.get_hookimpls():
            try:
                names = implementation.argnames
                implementation.function(**({"event": event} if "event" in names else {}))
            except Exception:
                log.exception("the plugin %s failed on an event", implementation.plugin_name)


def _put(into: dict[str, Any], name: str, item: Any, kind: type) -> None:
    if not isinstance(item, kind):
        raise TypeError(f"{name!r} is not a {kind.__name__}")
    if name in into:
        raise ValueError(f"declares {name!r} twice")
    into[name] = item


def _refuse_unreachable(manager: pluggy.PluginManager, plugin: object, declared: _Declared) -> None:
    if declared.backends:
        return
    for caller in manager.get_hookcallers(plugin) or ():
        for one in caller.get_hookimpls():
            wraps = one.wrapper or one.hookwrapper
            if one.plugin is plugin and caller.name in hookspecs.DIRECTED and not wraps:
                raise ValueError(
                    f"implements {caller.name}, but declares no backend that it could be called on"
                )


def blocked() -> list[str]:
    """Return the plugin names that ``RAGD_TUNE_DISABLE`` blocks."""
    return [name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()]


def discover() -> Registry:
    """Return a registry with every plugin that is installed."""
    registry = Registry()
    registry.load(metadata.entry_points(group=GROUP), blocked())
    return registry
