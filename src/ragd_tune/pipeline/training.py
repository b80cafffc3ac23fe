"""Train a plan in a worker, and put what it made into the store."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ragd_tune import worker
from ragd_tune.errors import InterruptedRunError, TuneError, UsageError, WorkerError
from ragd_tune.launch import axolotl
from ragd_tune.pipeline.planning import Planned
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import DEADLINE, ModelFacts, TrainPlan, TrainResult
from ragd_tune.store import Manifest
from ragd_tune.training.checkpoints import left


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """An adapter in the store, and the run that made it."""

    id: str
    path: Path
    manifest: Manifest
    plan: TrainPlan
    result: TrainResult


def train(
    shop: Workshop,
    planned: Planned,
    *,
    name: str | None = None,
    resume: bool = False,
    fresh: bool = False,
    python: Path | None = None,
) -> Trained:
    """Train ``planned`` and commit the adapter.

    An unfinished run of the same plan is not overwritten by accident: ``resume`` goes on from its
    last checkpoint, ``fresh`` starts again.

    :raises UsageError: an unfinished run lies there and neither was asked for; or there is
        nothing to resume.
    :raises InterruptedRunError: Ctrl-C; a checkpoint was kept.
    """
    run = planned.plan.out.parent
    with alone(run):
        _ready(run, resume=resume, fresh=fresh)
        worker.prepare(_told(planned), planned.rows)
        try:
            result = _result(shop, planned, run, python)
        except InterruptedRunError as error:
            more = " with --resume to go on" if checkpoints(run) else " again"
            mend = f"run the same command{more}"
            raise InterruptedRunError(error.message, mend=mend) from error
        made = commit(shop, planned, result, name=name)
        _finish(run)
    return made


def _told(planned: Planned) -> TrainPlan:
    """Return the plan as the worker gets it: it knows when its budget is over."""
    plan, ends = planned.plan, planned.ends
    return plan if ends is None else replace(plan, options={**plan.options, DEADLINE: ends})


def _result(shop: Workshop, planned: Planned, run: Path, python: Path | None) -> TrainResult:
    if planned.plan.backend == axolotl.NAME:
        return axolotl.run(planned.plan, planned.rows, shop.tell, python=python)
    return worker.run(run, shop.tell, python=python)


def commit(
    shop: Workshop, planned: Planned, result: TrainResult, *, name: str | None = None
) -> Trained:
    """Put what a run left under ``plan.out`` into the store, with its provenance."""
    from ragd_tune.models import remember

    plan, facts = planned.plan, result.facts
    if facts is None:
        raise WorkerError(f"the backend {plan.backend} says nothing about the model it made")
    draft = shop.store.draft()
    shutil.copytree(plan.out, draft, dirs_exist_ok=True)
    manifest = Manifest.build(
        draft,
        kind=plan.kind,
        objective=plan.objective,
        tuning=plan.tuning,
        side=plan.side,
        format=result.format,
        base={"name": shareable(plan.base.name), "fingerprint": plan.base.fingerprint},
        dimension=facts.dimension,
        dimensions=facts.dimensions,
        max_length=facts.max_length,
        prompts=dict(facts.prompts),
        pooling=facts.pooling,
        normalise=facts.normalise,
        settings=dict(facts.settings),
        space=_space(shop, planned, facts, draft),
    )
    remember(shop.store.root, plan.base)
    path = shop.store.commit(draft, manifest, names=[name] if name else [])
    shop.store.record(manifest.content_id, "provenance", provenance(planned, result))
    return Trained(id=manifest.content_id, path=path, manifest=manifest, plan=plan, result=result)


def _space(shop: Workshop, planned: Planned, facts: ModelFacts, draft: Path) -> str | None:
    """Return the id of the space that an embedder's documents lie in; None for what embeds none.

    The document side's encoder is the base with the draft's files on top. For an adapter of the
    query side it is the bare base, with its own length and prompt: those of ``facts`` are the
    queries'.
    """
    from ragd_tune.models import files_digest, space_id
    from ragd_tune.serve import load_base

    base = planned.plan.base
    if planned.kind.serves != "embedder":
        return None
    if planned.plan.side == "query":
        name, home = str(base.path), shop.store.root
        with load_base(name, home=home, registry=shop.registry, offline=True) as bare:
            return bare.space
    return space_id(facts, encoder=files_digest(draft, base.fingerprint))


def shareable(name: str) -> str:
    """Return a base's name without a folder of this machine in it."""
    path = Path(name).expanduser()
    return path.name if path.is_absolute() or path.exists() else name


def provenance(planned: Planned, result: TrainResult) -> dict[str, object]:
    """Return what the records keep of a run: no path, no time of day, nothing of the texts."""
    plan = planned.plan.to_json()
    del plan["out"]
    plan["base"] = {
        "name": shareable(planned.plan.base.name),
        "fingerprint": planned.plan.base.fingerprint,
        "source": planned.plan.base.source,
        "revision": planned.plan.base.revision,
    }
    return {
        "plan": plan,
        "plan_id": planned.plan.id,
        "data": {"name": planned.data.source.name, "fingerprint": planned.data.fingerprint},
        "rows": {"train": len(planned.rows.train), "dev": len(planned.rows.dev)},
        "result": result.to_json(),
    }


def replayable(plan: TrainPlan, result: TrainResult) -> TrainPlan:
    """Return the plan that takes exactly the steps that a run took which time or loss ended."""
    options = {**plan.options, "max_steps": result.steps, "minutes": None, "budget": None}
    if "early_stop" in options:
        options["early_stop"] = False
    if result.schedule_steps > result.steps:
        options["schedule_steps"] = result.schedule_steps
    return replace(plan, options=options)


@contextlib.contextmanager
def alone(run: Path, doing: str = "training this very plan") -> Iterator[None]:
    """Keep a second process off the same run, or off other work in a folder of its own.

    :raises TuneError: there is one; says that it is ``doing`` that.
    """
    from filelock import FileLock, Timeout

    run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise TuneError(
            f"another process is {doing} in {run}",
            mend="wait for it, or stop it first",
        ) from error
    try:
        yield
    finally:
        lock.release()


def checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, whole or not, whichever backend wrote them."""
    return left(run / "checkpoints")


def _ready(run: Path, *, resume: bool, fresh: bool) -> None:
    kept = checkpoints(run)
    if kept and not resume and not fresh:
        raise UsageError(
            f"an unfinished run of exactly this plan is in {run}",
            mend="add --resume to go on, or --fresh to start again",
        )
    if resume and not kept:
        raise UsageError(
            f"there is nothing to resume in {run}",
            mend="leave --resume out; the data and the options must be those of the stopped run",
        )
    for leftover in ("out", *(() if resume else ("checkpoints", "events.jsonl"))):
        _remove(run / leftover)
    _remove(run / worker.RESULT)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _finish(run: Path) -> None:
    """Keep the plan, the events and the log; the weights are in the store now."""
    for leftover in ("checkpoints", "out", "rows"):
        _remove(run / leftover)
