"""The toy backend of ``tests/third_party``, sound, and broken in one way after another."""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ragd_tune_toy as toy

from ragd_tune import hookimpl
from ragd_tune.backends import Availability, Backend, LoadRequest, serve_cells, train_cells
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.plan import BaseModel, Emit, Estimate, Event, Stop, TrainPlan, TrainResult
from ragd_tune.registry import Registry


class Sound:
    """The toy backend as it is."""

    declared = toy.TOY

    @hookimpl
    def ragd_tune_backends(self) -> list[Backend]:
        return [self.declared]

    @hookimpl
    def ragd_tune_estimate(self, plan: TrainPlan, rows: Rows) -> Estimate:
        return toy.ragd_tune_estimate(plan, rows)

    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        return toy.ragd_tune_train(plan, rows, emit)

    @hookimpl
    def ragd_tune_load_adapter(self, request: LoadRequest) -> toy.Encoder:
        return toy.ragd_tune_load_adapter(request)

    @hookimpl
    def ragd_tune_embed(self, model: toy.Encoder, texts: Sequence[str], role: Any) -> Any:
        return toy.ragd_tune_embed(model, texts, role)


def changed(plan: TrainPlan, **options: Value) -> TrainPlan:
    return replace(plan, options={**plan.options, **options})


def outcome(plan: TrainPlan, rows: Rows, emit: Emit, **options: Value) -> TrainResult:
    """Train as if the options had been other ones."""
    return toy.ragd_tune_train(changed(plan, **options), rows, emit)


# -- what it declares ----------------------------------------------------------------------------


class DeclaresNothing(Sound):
    declared = replace(toy.TOY, train_cells=frozenset())


class LoadsNoBase(Sound):
    declared = replace(toy.TOY, serve_cells=serve_cells(("map",), ("contrastive",), ("cpu",)))


class CannotLoadItsOwn(Sound):
    declared = replace(toy.TOY, serve_cells=serve_cells(("base",), ("contrastive",), ("cpu",)))


class TrainsSomethingUncovered(Sound):
    declared = replace(
        toy.TOY,
        train_cells=toy.TOY.train_cells | train_cells(("guesswork",), ("map",), ("cpu",)),
        serve_cells=toy.TOY.serve_cells | serve_cells(("base",), ("guesswork",), ("cpu",)),
    )


def imports_to_detect() -> Availability:
    import numpy  # noqa: F401, ICN001

    return toy.detect()


class ImportsToDetect(Sound):
    declared = replace(toy.TOY, detect=imports_to_detect)


def asks_a_process() -> Availability:
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", ""], check=True)
    return toy.detect()


class AsksAProcess(Sound):
    declared = replace(toy.TOY, detect=asks_a_process)


class RefusesItsOwnBase(Sound):
    declared = replace(toy.TOY, unfit=lambda base, objective: "has never heard of it")


class GivesNoReason(Sound):
    declared = replace(toy.TOY, detect=lambda: Availability())


class GivesNoMend(Sound):
    declared = replace(toy.TOY, detect=lambda: Availability(reason="no luck today"))


# -- how it trains -------------------------------------------------------------------------------


class IgnoresTheSeed(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        return outcome(plan, rows, emit, seed=0)


class IgnoresTheTemperature(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        return outcome(plan, rows, emit, temperature=0.05)


class TakesAStepTooMany(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        return outcome(plan, rows, emit, max_steps=toy.steps_of(plan, rows.train) + 1)


class NeverRepeats(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        result = toy.ragd_tune_train(plan, rows, emit)
        (plan.out / "when.json").write_text(str(time.perf_counter_ns()), encoding="utf-8")
        return result


class LearnsNothing(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        return outcome(plan, rows, emit, learning_rate=0.0)


class MakesItsOwnBatches(Sound):
    """Takes rows as they come: false negatives meet, and the last rows are dropped."""

    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        free = [{**row, "relevant_keys": []} for row in rows.train]
        return toy.ragd_tune_train(plan, replace(rows, train=free), emit)


class CountsFromZero(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        def late(event: Event) -> None:
            emit(replace(event, step=event.step - 1) if event.type == "step" else event)

        return toy.ragd_tune_train(plan, rows, late)


class TellsNoFacts(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        return replace(toy.ragd_tune_train(plan, rows, emit), facts=None)


# -- what it writes ------------------------------------------------------------------------------


class WritesElsewhere(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        result = toy.ragd_tune_train(plan, rows, emit)
        Path("notes.txt").write_text("in the working directory", encoding="utf-8")
        return result


class WritesIntoTheBase(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        mark = plan.base.path / "used.txt"
        mark.write_text(f"{time.perf_counter_ns()}", encoding="utf-8")
        return toy.ragd_tune_train(plan, rows, emit)


class LeavesAPickle(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        result = toy.ragd_tune_train(plan, rows, emit)
        (plan.out / "options.json").write_bytes(pickle.dumps(dict(plan.options)))
        return result


class NamesItsBase(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        result = toy.ragd_tune_train(plan, rows, emit)
        text = f'{{"base": "{plan.base.path.as_posix()}"}}'
        (plan.out / "config.json").write_text(text, encoding="utf-8")
        return result


# -- how it stops and estimates ------------------------------------------------------------------


class SwallowsStop(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        def deaf(event: Event) -> None:
            try:
                emit(event)
            except Stop:
                return

        return toy.ragd_tune_train(plan, rows, deaf)


class KeepsNoCheckpoint(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        try:
            return toy.ragd_tune_train(plan, rows, emit)
        except Stop:
            (plan.out.parent / "checkpoints" / "last.safetensors").unlink(missing_ok=True)
            raise


class ForgetsItsMoments(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        resume = toy.Training.resume

        def forgetful(training: toy.Training) -> None:
            resume(training)
            training.moments = training.moments * 0

        toy.Training.resume = forgetful  # type: ignore[method-assign, assignment]
        try:
            return toy.ragd_tune_train(plan, rows, emit)
        finally:
            toy.Training.resume = resume  # type: ignore[method-assign]


class BlendsItsCheckpoints(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        keep = toy.Training.keep

        def blending(training: toy.Training) -> None:
            training.model.map = training.blended()
            keep(training)

        toy.Training.keep = blending  # type: ignore[method-assign, assignment]
        try:
            return toy.ragd_tune_train(plan, rows, emit)
        finally:
            toy.Training.keep = keep  # type: ignore[method-assign]


class FallsOverATornCheckpoint(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        kept = plan.out.parent / "checkpoints" / "last.safetensors"
        if kept.exists():
            toy.read(kept)
        return toy.ragd_tune_train(plan, rows, emit)


class EstimatesForReal(Sound):
    @hookimpl
    def ragd_tune_estimate(self, plan: TrainPlan, rows: Rows) -> Estimate:
        def stop(event: Event) -> None:
            if event.step == 2:
                raise Stop

        with contextlib.suppress(Stop):
            toy.ragd_tune_train(plan, rows, stop)
        return toy.ragd_tune_estimate(plan, rows)


# -- how it serves -------------------------------------------------------------------------------


class LoadsTheBaseOnly(Sound):
    @hookimpl
    def ragd_tune_load_adapter(self, request: LoadRequest) -> toy.Encoder:
        return toy.ragd_tune_load_adapter(replace(request, adapter=None))


class LoadsFromWhereItTrained(Sound):
    """Remembers a path instead of using the one that it is given."""

    trained_at: BaseModel | None = None

    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        self.trained_at = plan.base
        return toy.ragd_tune_train(plan, rows, emit)

    @hookimpl
    def ragd_tune_load_adapter(self, request: LoadRequest) -> toy.Encoder:
        base = self.trained_at or request.base
        return toy.ragd_tune_load_adapter(replace(request, base=base))


def embeds(change: Callable[[Any], Any]) -> type[Sound]:
    class Changed(Sound):
        @hookimpl
        def ragd_tune_embed(self, model: toy.Encoder, texts: Sequence[str], role: Any) -> Any:
            return change(toy.ragd_tune_embed(model, texts, role))

    return Changed


DoublesItsVectors = embeds(lambda found: found * 2)
TurnsTheOrder = embeds(lambda found: found[::-1])
GivesDoubles = embeds(lambda found: found.astype(float))
GivesLists = embeds(lambda found: found.tolist())


class IgnoresRoles(Sound):
    @hookimpl
    def ragd_tune_embed(self, model: toy.Encoder, texts: Sequence[str], role: Any) -> Any:
        return toy.ragd_tune_embed(model, texts, "document")


class ReadsTextsToTheEnd(Sound):
    @hookimpl
    def ragd_tune_embed(self, model: toy.Encoder, texts: Sequence[str], role: Any) -> Any:
        endless = replace(model, facts=replace(model.facts, max_length=10**9))
        return toy.ragd_tune_embed(endless, texts, role)


class ChokesOnNothing(Sound):
    @hookimpl
    def ragd_tune_embed(self, model: toy.Encoder, texts: Sequence[str], role: Any) -> Any:
        assert texts
        return toy.ragd_tune_embed(model, texts, role)


def __getattr__(name: str) -> Callable[[], Registry]:
    """Return what makes a registry of one plugin: ``toys:registry_of_Sound``."""
    kind = name.removeprefix("registry_of_")
    if kind == name or kind not in globals():
        raise AttributeError(name)

    def make() -> Registry:
        registry = Registry()
        assert registry.register(globals()[kind](), name="toy", distribution="ragd-tune-toy")
        return registry

    return make
