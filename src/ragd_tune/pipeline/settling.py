"""What the user asked for, settled before any rows are made: options, backend, data and base."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ragd_tune import config
from ragd_tune.choose import Choice
from ragd_tune.config import Layer, Setting
from ragd_tune.data import DataSet, read
from ragd_tune.data.origins import without_model
from ragd_tune.errors import UsageError
from ragd_tune.kinds import ModelKind, Profile
from ragd_tune.options import CHOICES, LORA, RUN, Option, Value, of_side, options_of_tuning
from ragd_tune.pipeline.choosing import one_of, side_of, trainer_of, tuning_of
from ragd_tune.pipeline.host_base import base_layer, resolve_base
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Device, Side
from ragd_tune.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for. ``given`` are flags by option name; None is "not given".

    ``python`` is the interpreter of the process that trains.
    """

    kind: str
    data: Path
    given: Mapping[str, object] = field(default_factory=dict)
    config: Path | None = None
    offline: bool | None = None
    python: Path | None = None


def declared(registry: Registry, kind: ModelKind) -> tuple[Option, ...]:
    """Return every option that a training of ``kind`` may have, with any backend."""
    adapters = LORA if {"lora", "dora", "qlora"} & set(kind.tunings) else ()
    backends = tuple(o for backend in registry.backends.values() for o in backend.options)
    own = {o.name: o for o in _of_objectives(registry, kind.objectives)}
    return (*CHOICES, *RUN, *own.values(), *kind.options, *adapters, *backends)


def _of_objectives(registry: Registry, objectives: Iterable[str]) -> list[Option]:
    """Return the options of some objectives; where two share a name, the first one's is told last.

    A kind's default objective comes first, so its help and range are the ones that are shown.
    """
    named = [registry.objectives[one].options for one in objectives]
    return [option for options in reversed(named) for option in options]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request comes to before its rows are made: all that several plans of it share."""

    kind: ModelKind
    layers: list[Layer]
    choices: Mapping[str, Setting]
    objective: str
    tuning: str
    side: Side
    choice: Choice
    data: DataSet
    rows: int
    relevant: tuple[Option, ...]
    defaults: Mapping[str, Value]
    made: Mapping[str, Value]
    base: BaseModel
    python: Path | None
    offline: bool | None

    def settle(self, recipe: Mapping[str, Value]) -> dict[str, Setting]:
        """Return every option's value, with a recipe's over the kind's defaults."""
        read_here = {option.name for option in self.relevant}
        chosen = {name: value for name, value in recipe.items() if name in read_here}
        layers = [config.kind_defaults(self.defaults, self.made), config.budget_recipe(chosen)]
        return config.settle(self.relevant, [*self.layers, *layers])


def asked_for(shop: Workshop, request: Request) -> Asked:
    """Settle what can be settled before rows are made.

    :raises UsageError: an option cannot be used; names its place.
    :raises DataError: the data cannot be read; names file and line.
    :raises NotInstalledError: a backend, a kind or the base is not here.
    """
    kind = shop.registry.kind(request.kind)
    options = declared(shop.registry, kind)
    layers = _layers(shop, kind, options, request)
    choices = config.settle(CHOICES, layers)
    objective, side = one_of(kind, choices, "objective"), side_of(choices)
    trainer = partial(trainer_of, shop.registry, choices, request.python, objective, side)
    tuning = tuning_of(kind, choices, trainer)
    trainer(tuning)  # what nobody trains is told before anything is read or fetched
    data = read(request.data)
    home, offline = shop.store.root, request.offline
    base = resolve_base(choices["base"], kind.default_base, offline=offline, home=home)
    choice = trainer(tuning, base)
    relevant = of_side(side, _relevant(shop.registry, kind, objective, tuning, choice))
    here = f"--tuning {tuning} on {choice.backend.name}"
    _refuse_idle(relevant, layers, f"{here}, --side query" if side == "query" else here)
    rows = sum(1 for _ in data.pairs("train"))
    profile = profile_here(tuning, side, choice.device, rows)
    read_here = {option.name for option in relevant}
    defaults, made = (
        {n: value for n, value in kind.defaults(one).items() if n in read_here}
        for one in (profile, replace(profile, generated=without_model(data)))
    )
    asked = Asked(
        kind=kind,
        layers=layers,
        choices=choices,
        objective=objective,
        tuning=tuning,
        side=side,
        choice=choice,
        data=data,
        rows=rows,
        relevant=relevant,
        defaults=defaults,
        made=made,
        base=base,
        python=request.python,
        offline=request.offline,
    )
    _refuse_processes(shop.registry, choice, objective, asked.settle({})["processes"])
    return asked


def _layers(
    shop: Workshop, kind: ModelKind, options: tuple[Option, ...], request: Request
) -> list[Layer]:
    layers = [
        base_layer(shop.store, kind.serves),
        config.ragd_file(config.ragd_path(), serves=kind.serves),
        config.environment(options),
        config.flags(request.given),
    ]
    if request.config is not None:
        known = {
            o.name for one in shop.registry.kinds.values() for o in declared(shop.registry, one)
        }
        layers.append(config.config_file(request.config, known, shop.registry.kinds, kind.name))
    return layers


def _relevant(
    registry: Registry, kind: ModelKind, objective: str, tuning: str, choice: Choice
) -> tuple[Option, ...]:
    """Return what this objective, this tuning, this backend and this proof read."""
    return (
        *RUN,
        *registry.objectives[objective].options,
        *kind.options,
        *options_of_tuning(tuning),
        *choice.backend.options,
    )


def _refuse_idle(relevant: tuple[Option, ...], layers: list[Layer], here: str) -> None:
    read_here = {option.name for option in (*relevant, *CHOICES)}
    for layer in layers:
        for name, (_, where) in layer.values.items():
            if layer.source == "flag" and name not in read_here:
                raise UsageError(f"{where}: has no effect with {here}", mend="leave it out")


def _refuse_processes(registry: Registry, choice: Choice, objective: str, wanted: Setting) -> None:
    """Refuse several processes where the backend knows one alone."""
    if wanted.value == 1 or objective in choice.backend.spreads:
        return
    able = sorted(one.name for one in registry.backends.values() if objective in one.spreads)
    raise UsageError(
        f"{wanted.where}: {choice.backend.name} trains {objective} in one process",
        mend=f"--backend {able[0]} takes several" if able else "leave it out",
    )


def profile_here(tuning: str, side: Side, device: Device, rows: int) -> Profile:
    """Return what a kind's defaults depend on, on this machine."""
    from ragd_tune.ragd.tiers import tier_here

    return Profile(
        tuning=tuning,
        side=side,
        rows=rows,
        device=device,
        cores=os.cpu_count() or 1,
        memory=memory(),
        tier=tier_here(config.ragd_path()),
    )


def memory() -> int:
    """Return this machine's memory in bytes, or 0 where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return 0
