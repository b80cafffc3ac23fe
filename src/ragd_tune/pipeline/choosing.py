"""Who trains, by what and on which side: the choices on which all other options depend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from ragd_tune.choose import Choice, choose_trainer
from ragd_tune.config import Setting
from ragd_tune.errors import NoBackendError, UsageError
from ragd_tune.kinds import ModelKind
from ragd_tune.launch import axolotl
from ragd_tune.options import Value
from ragd_tune.plan import BaseModel, Device, Side
from ragd_tune.registry import Registry


def one_of(kind: ModelKind, choices: Mapping[str, Setting], what: str) -> str:
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


def side_of(choices: Mapping[str, Setting]) -> Side:
    """Return the side that is trained."""
    return "query" if choices["side"].value == "query" else "both"


def tuning_of(
    kind: ModelKind, choices: Mapping[str, Setting], trainer: Callable[[str], Choice]
) -> str:
    """Return the tuning that was asked for, else the kind's first that somebody here trains."""
    asked = one_of(kind, choices, "tuning")
    if choices["tuning"].value is None:
        for tuning in kind.tunings:
            with suppress(NoBackendError):
                trainer(tuning)
                return tuning
    return asked


def trainer_of(
    registry: Registry,
    choices: Mapping[str, Setting],
    python: Path | None,
    objective: str,
    side: Side,
    tuning: str,
    base: BaseModel | None = None,
) -> Choice:
    """Return the backend that trains, by the best device or the one that was asked for.

    :param base: what it must be able to train; any base if None.
    :raises NoBackendError: nobody here does.
    """
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
