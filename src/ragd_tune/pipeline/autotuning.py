"""Search for a training's options on the dev split, one training and one look at dev a trial.

Trials go through the same plan, training and proof as every command, in a store of their own under
the search's folder: nothing that they make is listed, served or counted as a look at a test set.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.autotune.attempts import Attempt, best
from ragd_tune.autotune.space import Axis, space
from ragd_tune.autotune.study import Study, check_optuna
from ragd_tune.autotune.told import against_defaults, configuration
from ragd_tune.errors import DataError, TuneError
from ragd_tune.evaluate.significance import Comparison
from ragd_tune.pipeline.planning import Planned, declared, plan
from ragd_tune.pipeline.training import alone
from ragd_tune.pipeline.trials import SPLIT, Say, Search, Searching, with_scale
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import canonical

FEWEST = 20
"""Queries of dev, at the least: what the gate asks for; fewer would rank trials by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found. ``queries`` counts those of dev, ``ended`` says why it is over.

    ``gain`` compares the best trial with the defaults on the same dev queries.
    """

    planned: Planned
    axes: tuple[Axis, ...]
    attempts: tuple[Attempt, ...]
    best: Attempt
    metric: str
    queries: int
    gain: Comparison | None
    config: Path
    ended: str

    @property
    def compared(self) -> int:
        """How many trials were scored."""
        return sum(one.score is not None for one in self.attempts)

    def to_json(self) -> dict[str, object]:
        """Return what ``--json`` shows."""
        gain = self.gain
        return {
            "kind": self.planned.kind.name,
            "split": SPLIT,
            "queries": self.queries,
            "metric": self.metric,
            "base": self.best.base,
            "space": [axis.to_json() for axis in self.axes],
            "trials": [one.to_json() for one in self.attempts],
            "compared": self.compared,
            "best": self.best.to_json(),
            "against_defaults": None
            if gain is None
            else {"difference": gain.mean, "interval": [gain.low, gain.high]},
            "config": str(self.config),
            "ended": self.ended,
        }


def search(shop: Workshop, asked: Search, say: Say = lambda text: None) -> Found:
    """Try options on dev until the trials or the minutes are used up, and return the best.

    Trials of an earlier call with the same data, options, and search are kept: only what is
    missing is done, from the checkpoint of the trial that was interrupted.

    :raises NotInstalledError: Optuna is not here.
    :raises UsageError: nothing is left to search, or an option that cannot be used.
    :raises DataError: there is no dev split, or too few queries in it.
    :raises InterruptedRunError: Ctrl-C; the trials so far are kept.
    :raises TuneError: the first trials all failed; or another process is at the same search.
    """
    check_optuna()
    planned = plan(shop, asked.request, one=False)
    count = judged(planned)
    axes = space(declared(shop.registry, planned.kind), planned.settings, asked.only)
    folder = shop.store.runs / f"search-{_id(planned, asked, axes)[:16]}"
    with alone(folder, "making this very search"):
        study = Study(folder, axes, seed=planned.plan.seed)
        say(
            f"searching {', '.join(axis.words for axis in axes)}; every trial is judged by the "
            f"{count} {SPLIT} queries, and test is not looked at"
        )
        if study.attempts:
            say(f"trials of earlier calls that are kept: {len(study.attempts)}")
        ended = Searching(
            shop=shop, asked=asked, planned=planned, folder=folder, study=study, say=say
        ).run()
        shutil.rmtree(folder / "store", ignore_errors=True)
        return _found(planned, axes, study, folder, count, ended)


def judged(planned: Planned) -> int:
    """Return how many queries of dev there are to judge trials by.

    :raises DataError: none, or fewer than :data:`FEWEST`.
    """
    data, embeds = planned.data, planned.kind.serves == "embedder"
    mend = "`ragd-tune data split` makes one; trials are never compared on test"
    if not data.judges(SPLIT, scored=embeds):
        raise DataError(f"{data.source}: there is no {SPLIT} split to compare trials on", mend=mend)
    count = len(data.qrels.get(SPLIT, ())) or sum(p.split == SPLIT for p in data.scored)
    if count < FEWEST:
        raise DataError(
            f"{data.source}: the {SPLIT} split has {count} queries; fewer than {FEWEST} would rank "
            "trials by chance",
            mend="hold more back: `ragd-tune data split` takes the share of dev",
        )
    return count


def _id(planned: Planned, asked: Search, axes: tuple[Axis, ...]) -> str:
    """Return what makes two searches the same: the plan by defaults, the judging, the space."""
    told = {
        "plan": planned.plan.id,
        "judging": {name: str(value) for name, value in planned.judging.items()},
        "precision": asked.precision,
        "space": [axis.to_json() for axis in axes],
    }
    return hashlib.sha256(canonical(told)).hexdigest()


def _found(
    planned: Planned,
    axes: tuple[Axis, ...],
    study: Study,
    folder: Path,
    count: int,
    ended: str,
) -> Found:
    top = best(study.attempts)
    if top is None:
        last = study.attempts[-1].failure if study.attempts else "there was none"
        raise TuneError(
            f"no trial has a score; the last one: {last}",
            mend="see whether `ragd-tune train` works with these options",
        )
    metric = planned.kind.gate_metric
    done = sum(one.score is not None for one in study.attempts)
    heading = (
        f"The best of {done} trials, by {metric} on the {count} {SPLIT} queries of "
        f"{planned.data.source.name}: {top.score:.4f}",
        f"Use it: ragd-tune train {planned.kind.name} --data DATA --config THIS-FILE",
    )
    path = folder / "best.yaml"
    chosen = with_scale(planned, top.options)
    path.write_text(configuration(planned.settings, chosen, heading), encoding="utf-8")
    gain = against_defaults(study.attempts, planned.data.clusters(SPLIT), seed=planned.plan.seed)
    return Found(
        planned=planned,
        axes=axes,
        attempts=tuple(study.attempts),
        best=top,
        metric=metric,
        queries=count,
        gain=gain,
        config=path,
        ended=ended,
    )
