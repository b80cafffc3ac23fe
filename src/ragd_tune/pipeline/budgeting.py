"""``--budget``: time some steps on this machine, and choose the recipe that is best for the time.

What was chosen is kept until its run is finished, so that the same command resumes the same plan.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ragd_tune import worker
from ragd_tune.errors import UsageError
from ragd_tune.kinds import HasRecipes, Recipe
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.pipeline.negatives import LENGTH, is_mined
from ragd_tune.pipeline.training import checkpoints as unfinished
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import canonical
from ragd_tune.training import checkpoints
from ragd_tune.training.course import SPARE, Course
from ragd_tune.training.recipes import (
    FORWARD,
    LETTERS,
    Weighing,
    agreeing,
    characters,
    named,
    passes,
    weigh,
)

if TYPE_CHECKING:
    from ragd_tune.pipeline.planning import Planned
    from ragd_tune.pipeline.settling import Asked

PROBE: Mapping[str, Value] = {"negatives": 0, "training_length": 64}
"""Options of the steps that are timed: any would do; these are cheap, and need no mining."""

_STEPS = 1000
"""Steps that are asked for, so that what comes once before the first one counts little."""


class Make(Protocol):
    """Makes the plan of one request by a recipe."""

    def __call__(self, recipe: Mapping[str, Value] = ..., *, mined: bool = ...) -> Planned:
        """Return the plan; ``mined`` False mines no negatives for it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What was measured: seconds a character of training, and of starting a worker and loading."""

    per_character: float
    start: float


def within(shop: Workshop, asked: Asked, make: Make, *, begun: float) -> Planned:
    """Return the plan that is best for the budget, with the time of its end.

    :param begun: when the command started, in seconds since 1970.
    :raises UsageError: another option bounds the training, or the budget is over already.
    """
    budget = _budget(asked)
    ends = begun + budget
    recipes = _recipes(asked)
    if not recipes:
        weighing = Weighing(budget=budget, left=ends - time.time(), reason=_unmeasured(asked))
        return _in_time(replace(make(), ends=ends, weighing=weighing))
    key = _key(make(PROBE, mined=False), budget)
    kept = shop.store.runs / f"budget-{key[:16]}.json"
    again = _kept(make, kept)
    if again is not None:
        reason = "the recipe of the run that was interrupted"
        weighing = Weighing(budget=budget, left=ends - time.time(), reason=reason)
        return replace(again, ends=ends, weighing=weighing)
    weighing, options = _chosen(shop, asked, make, recipes, budget=budget, ends=ends)
    checkpoints.put(kept, {"options": dict(options)})
    return _in_time(replace(make(options), ends=ends, weighing=weighing))


def _budget(asked: Asked) -> float:
    settings = asked.settle({})
    wanted = settings["budget"]
    for name in ("minutes", "max_steps"):
        if settings[name].value is not None:
            raise UsageError(
                f"{wanted.where} and {settings[name].where} exclude each other", mend="take one"
            )
    assert isinstance(wanted.value, float)
    return wanted.value


def _recipes(asked: Asked) -> tuple[Recipe, ...]:
    if not isinstance(asked.kind, HasRecipes):
        return ()
    mine = asked.settle({}).get("mine")
    mines = bool(asked.data.negatives) or (mine is not None and mine.value == "auto")
    measured = [
        one
        for one in asked.kind.recipes
        if (one.objective, one.side) == (asked.objective, asked.side)
        and asked.tuning in one.tunings
        and one.rows_from <= asked.rows < one.rows_below
    ]
    return agreeing(measured, _given(asked), mines=mines)


def _given(asked: Asked) -> dict[str, Value]:
    """Return what the user set: it is never overridden."""
    settled = asked.settle({})
    return {n: one.value for n, one in settled.items() if one.source not in {"default", "kind"}}


def _unmeasured(asked: Asked) -> str:
    own = [
        name for name in ("negatives", "training_length", "epochs", "mine") if name in _given(asked)
    ]
    if isinstance(asked.kind, HasRecipes) and own:
        return f"no recipe was measured with your {', '.join(own)}: they are trained in the time"
    return "no recipes were measured for this training: its defaults are trained in the time"


def _key(probe: Planned, budget: float) -> str:
    return hashlib.sha256(canonical([probe.plan.id, budget])).hexdigest()


def _kept(make: Make, path: Path) -> Planned | None:
    """Return the plan that was chosen before, if its run is not finished."""
    told = checkpoints.get(path)
    if told is None or not isinstance(told.get("options"), dict):
        return None
    planned = make(told["options"])
    return planned if unfinished(planned.plan.out.parent) else None


def _in_time(planned: Planned) -> Planned:
    """Return ``planned`` if there is time for it."""
    assert planned.ends is not None
    assert planned.weighing is not None
    late = time.time() - planned.ends
    if late >= 0:
        raise UsageError(
            f"--budget: {planned.weighing.budget:.0f} s were over {late:.0f} s ago, before the "
            "first step",
            mend="give it more time; negatives that were mined are kept, so that it starts sooner",
        )
    return planned


def _chosen(
    shop: Workshop,
    asked: Asked,
    make: Make,
    recipes: tuple[Recipe, ...],
    *,
    budget: float,
    ends: float,
) -> tuple[Weighing, Mapping[str, Value]]:
    """Return which recipe is best, and its options."""
    probe = make(PROBE, mined=False)
    shop.progress("measuring this machine for the budget", 0.0)
    speed = _measured(shop, asked, probe)
    left = (ends - time.time() - speed.start) * (1 - SPARE)
    length = probe.plan.integer("max_length")
    mining = _mining(shop, asked, probe, speed)

    def seconds(recipe: Recipe) -> float:
        negatives = int(str(recipe.options.get("negatives", 0)))
        cut = recipe.options.get("training_length")
        own = min(cut, length) if isinstance(cut, int) else length
        read = characters(probe.rows.train, negatives=negatives, length=own)
        return (mining if negatives else 0.0) + recipe.epochs * read * speed.per_character

    weighed, taken = weigh(recipes, seconds, left)
    epochs = passes(taken.recipe, recipes)
    reason = (
        f"{named(taken.recipe)}: the best that fits"
        if taken.fits
        else (f"{named(taken.recipe)}: none fits whole, and of this one most can be done")
    )
    if taken.fits and epochs > taken.recipe.epochs:
        reason += f", trained on for as long as there is time (up to {epochs:g} epochs)"
    weighing = Weighing(
        budget=budget, left=left, weighed=weighed, chosen=taken.recipe,
        given=tuple(_given(asked)), reason=reason,
    )  # fmt: skip
    return weighing, {**_bounded(probe, taken.recipe), **taken.recipe.options, "epochs": epochs}


def _bounded(probe: Planned, recipe: Recipe) -> dict[str, Value]:
    """Return the options that would be beyond what the recipe was measured with, at that."""
    return {
        name: int(most) if isinstance(probe.plan.options[name], int) else most
        for name, most in recipe.at_most.items()
        if probe.plan.number(name) > most
    }


def _measured(shop: Workshop, asked: Asked, probe: Planned) -> Speed:
    """Time some steps of the probe in a worker, as the training will run."""
    begun = time.perf_counter()
    rows = Rows(objective=probe.rows.objective, train=probe.rows.train, dev=[])
    folder = shop.store.runs / f"measuring-{probe.plan.id[:16]}"
    options = {**probe.plan.options, "max_steps": _STEPS}
    plan = replace(
        probe.plan, out=folder / "out", rows_fingerprint=rows.fingerprint, options=options
    )
    folder.mkdir(parents=True, exist_ok=True)
    worker.prepare(plan, rows)
    try:
        made = worker.measure(folder, python=asked.python)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    batches = len(Course.of(plan, rows.train).epoch(0))
    negatives, length = plan.integer("negatives"), plan.options["training_length"]
    whole = plan.integer("max_length")
    read = characters(
        rows.train, negatives=negatives, length=length if isinstance(length, int) else whole
    )
    per_step = made.seconds / made.steps
    return Speed(per_character=per_step * batches / read, start=time.perf_counter() - begun)


def _mining(shop: Workshop, asked: Asked, probe: Planned, speed: Speed) -> float:
    """Return the seconds that mining takes, about: every passage and query is embedded once."""
    data, plan = asked.data, probe.plan
    length = plan.integer("max_length")
    if data.negatives or is_mined(shop, data, plan.base, length):
        return 0.0
    limit = LETTERS * min(LENGTH, length)
    texts = [doc.passage for doc in data.corpus.values()]
    texts += [query.text for query in data.queries.values()]
    read = sum(min(limit, len(text)) for text in texts)
    return speed.start + FORWARD * read * speed.per_character
