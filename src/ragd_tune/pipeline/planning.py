"""From what the user asked to a plan: options settled, backend chosen, base found, rows made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ragd_tune import config
from ragd_tune.choose import Choice, choose_trainer
from ragd_tune.config import Layer, Setting
from ragd_tune.data import DataSet, read
from ragd_tune.errors import NoBackendError, UsageError
from ragd_tune.kinds import ModelKind, Profile
from ragd_tune.launch import axolotl
from ragd_tune.objectives import Rows
from ragd_tune.options import CHOICES, LORA, RUN, Option, Value, of_side, options_of_tuning
from ragd_tune.pipeline.host_base import base_layer, resolve_base
from ragd_tune.pipeline.negatives import with_negatives
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Device, Side, TrainPlan
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, and all that it was made from; ``judging`` are the options of the proof."""

    plan: TrainPlan
    kind: ModelKind
    data: DataSet
    rows: Rows
    settings: Mapping[str, Setting]
    judging: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return what ``--show-plan`` shows."""
        return {
            "plan": self.plan.to_json(),
            "id": self.plan.id,
            "rows": {"train": len(self.rows.train), "dev": len(self.rows.dev)},
            "options": {
                name: {"value": one.value, "source": one.source, "where": one.where}
                for name, one in sorted(self.settings.items())
            },
        }


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


def plan(shop: Workshop, request: Request) -> Planned:
    """Decide everything about a run, without training anything.

    :raises UsageError: an option cannot be used; names its place.
    :raises DataError: the data cannot be used; names file and line.
    :raises NotInstalledError: a backend, a kind or the base is not here.
    """
    kind = shop.registry.kind(request.kind)
    options = declared(shop.registry, kind)
    layers = _layers(shop, kind, options, request)
    choices = config.settle(CHOICES, layers)
    objective, side = _one_of(kind, choices, "objective"), _side(choices)
    trainer = partial(_trainer, shop.registry, choices, request.python, objective, side)
    tuning = _tuning(kind, choices, trainer)
    trainer(tuning)  # what nobody trains is told before anything is read or fetched
    data = read(request.data)
    base = resolve_base(
        choices["base"], kind.default_base, offline=request.offline, home=shop.store.root
    )
    choice = trainer(tuning, base)
    relevant = of_side(side, _relevant(shop.registry, kind, objective, tuning, choice))
    here = f"--tuning {tuning} on {choice.backend.name}"
    _refuse_idle(relevant, layers, f"{here}, --side query" if side == "query" else here)
    profile = _profile(tuning, side, choice.device, sum(1 for _ in data.pairs("train")))
    defaults = {
        name: value
        for name, value in kind.defaults(profile).items()
        if name in {option.name for option in relevant}
    }
    settings = config.settle(relevant, [*layers, config.kind_defaults(defaults)])
    judging = {option.name for option in relevant if option.group == "proof"}
    values = {name: one.value for name, one in settings.items() if name not in judging}
    _refuse_processes(shop.registry, choice, objective, settings["processes"])
    every = {name: one.value for name, one in settings.items()}
    mined = with_negatives(shop, data, base, choice.device, every, offline=request.offline)
    rows = kind.rows(mined, objective, values)
    draft = TrainPlan(
        kind=kind.name,
        objective=objective,
        tuning=tuning,
        side=side,
        backend=choice.backend.name,
        device=choice.device,
        base=base,
        data_fingerprint=data.fingerprint,
        rows_fingerprint=rows.fingerprint,
        out=Path("out"),
        options=values,
    )
    run = shop.store.runs / draft.id[:16]
    made = _at(draft, run / "out")
    return Planned(
        plan=made,
        kind=kind,
        data=data,
        rows=rows,
        settings={**choices, **settings},
        judging={name: settings[name].value for name in judging},
    )


def _at(plan: TrainPlan, out: Path) -> TrainPlan:
    from dataclasses import replace

    return replace(plan, out=out)


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


def _one_of(kind: ModelKind, choices: Mapping[str, Setting], what: str) -> str:
    """Return the tuning or the objective that was asked for, else the kind's default."""
    known = {"tuning": kind.tunings, "objective": kind.objectives}[what]
    setting = choices[what]
    if setting.value is None:
        return known[0]
    if setting.value not in known:
        word = {"tuning": "tuned by", "objective": "trained on the objective"}[what]
        raise UsageError(
            f"{setting.where}: a {kind.name} cannot be {word} {setting.value!r}",
            mend=f"it takes one of {', '.join(known)}",
        )
    return str(setting.value)


def _side(choices: Mapping[str, Setting]) -> Side:
    return "query" if choices["side"].value == "query" else "both"


def _tuning(
    kind: ModelKind, choices: Mapping[str, Setting], trainer: Callable[[str], Choice]
) -> str:
    """Return the tuning that was asked for, else the kind's first that somebody here trains."""
    asked = _one_of(kind, choices, "tuning")
    if choices["tuning"].value is None:
        for tuning in kind.tunings:
            with suppress(NoBackendError):
                trainer(tuning)
                return tuning
    return asked


def _trainer(
    registry: Registry,
    choices: Mapping[str, Setting],
    python: Path | None,
    objective: str,
    side: Side,
    tuning: str,
    base: BaseModel | None = None,
) -> Choice:
    name, launcher = _text(choices["backend"].value), choices["launcher"].value
    if name is not None:
        registry.backend(name)  # a broken or missing one says so, rather than "no backend can"
    offers = [] if launcher == axolotl.NAME else registry.offers()
    if launcher != "worker":
        # A bare --python is the worker's: it says where Axolotl is only if Axolotl is asked for.
        offers.append(axolotl.offer(python if launcher == axolotl.NAME else None))
    return choose_trainer(
        offers,
        objective=objective,
        tuning=tuning,
        side=side,
        device=device_of(choices["device"].value),
        backend=name,
        base=base,
    )


def device_of(value: object) -> Device | None:
    """Return the device that an option names; ``auto`` is None."""
    known: dict[object, Device] = {"cpu": "cpu", "cuda": "cuda", "mps": "mps"}
    return known.get(value)


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None


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


def _profile(tuning: str, side: Side, device: Device, rows: int) -> Profile:
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
