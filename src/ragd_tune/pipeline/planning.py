"""From what the user asked to a plan: options settled, backend chosen, base found, rows made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.config import Setting
from ragd_tune.data import DataSet
from ragd_tune.errors import UsageError
from ragd_tune.kinds import ModelKind
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.pipeline.choosing import device_of
from ragd_tune.pipeline.negatives import with_negatives
from ragd_tune.pipeline.settling import Asked, Request, asked_for, declared, memory
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import TrainPlan

if TYPE_CHECKING:
    from ragd_tune.training.recipes import Weighing

__all__ = ["Asked", "Planned", "Request", "declared", "device_of", "memory", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, and all that it was made from; ``judging`` are the options of the proof.

    With a budget, ``ends`` is when it is over (seconds since 1970), and ``weighing`` says which
    recipes were compared for it.
    """

    plan: TrainPlan
    kind: ModelKind
    data: DataSet
    rows: Rows
    settings: Mapping[str, Setting]
    judging: Mapping[str, Value] = field(default_factory=dict)
    ends: float | None = None
    weighing: Weighing | None = None

    def to_json(self) -> dict[str, object]:
        """Return what ``--show-plan`` shows."""
        return {
            "plan": self.plan.to_json(),
            "id": self.plan.id,
            "rows": {"train": len(self.rows.train), "dev": len(self.rows.dev)},
            "budget": self.weighing.to_json() if self.weighing else None,
            "options": {
                name: {"value": one.value, "source": one.source, "where": one.where}
                for name, one in sorted(self.settings.items())
            },
        }


def plan(shop: Workshop, request: Request, *, one: bool = True) -> Planned:
    """Decide everything about a run, without training anything.

    With a ``budget``, some steps are timed to choose a recipe: see
    :mod:`ragd_tune.pipeline.budgeting`.

    :param one: whether this is one training by itself; one of many can have no budget.
    :raises UsageError: an option cannot be used; names its place.
    :raises DataError: the data cannot be used; names file and line.
    :raises NotInstalledError: a backend, a kind or the base is not here.
    """
    begun = time.time()
    asked = asked_for(shop, request)
    make = partial(_made, shop, asked)
    settings = asked.settle({})
    if settings["budget"].value is None:
        return make()
    if not one:
        where = settings["budget"].where
        raise UsageError(f"{where}: bounds one training", mend="a search takes --minutes")
    from ragd_tune.pipeline.budgeting import within

    return within(shop, asked, make, begun=begun)


def _made(
    shop: Workshop, asked: Asked, recipe: Mapping[str, Value] | None = None, *, mined: bool = True
) -> Planned:
    """Return the plan by a recipe, or by the defaults; ``mined`` False mines no negatives."""
    kind, base, device = asked.kind, asked.base, asked.choice.device
    settings = asked.settle(recipe or {})
    judging = {option.name for option in asked.relevant if option.group == "proof"}
    values = {name: one.value for name, one in settings.items() if name not in judging}
    data = asked.data
    if mined:
        every = {name: one.value for name, one in settings.items()}
        data = with_negatives(shop, data, base, device, every, offline=asked.offline)
    rows = kind.rows(data, asked.objective, values)
    draft = TrainPlan(
        kind=kind.name,
        objective=asked.objective,
        tuning=asked.tuning,
        side=asked.side,
        backend=asked.choice.backend.name,
        device=device,
        base=base,
        data_fingerprint=asked.data.fingerprint,
        rows_fingerprint=rows.fingerprint,
        out=Path("out"),
        options=values,
    )
    run = shop.store.runs / draft.id[:16]
    return Planned(
        plan=replace(draft, out=run / "out"),
        kind=kind,
        data=asked.data,
        rows=rows,
        settings={**asked.choices, **settings},
        judging={name: settings[name].value for name in judging},
    )
