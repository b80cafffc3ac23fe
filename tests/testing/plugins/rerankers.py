"""The fake backend's reranker, sound, and broken in one way after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ragd_tune import hookimpl
from ragd_tune.backends import Backend, LoadRequest, RerankRequest, serve_cells, train_cells
from ragd_tune.objectives import Rows
from ragd_tune.plan import Emit, TrainPlan, TrainResult
from ragd_tune.registry import Registry
from ragd_tune.testing.fakes import FakePlugin, registry


class Sound(FakePlugin):
    """The fake backend with rerankers alone."""

    @hookimpl
    def ragd_tune_backends(self) -> Iterable[Backend]:
        (backend,) = super().ragd_tune_backends()
        return [
            replace(
                backend,
                train_cells=train_cells(("relevance",), ("full",), ("cpu",)),
                serve_cells=serve_cells(("base", "full"), ("relevance",), ("cpu",)),
            )
        ]


def answers(change: Callable[[list[Any]], Any]) -> type[Sound]:
    class Changed(Sound):
        @hookimpl
        def ragd_tune_rerank(self, model: Any, requests: Sequence[RerankRequest]) -> Any:
            return change(super().ragd_tune_rerank(model, requests))

    return Changed


TurnsThePassages = answers(lambda found: [one[::-1] for one in found])
TurnsTheRequests = answers(lambda found: found[::-1])
GivesLogits = answers(lambda found: [8 * one - 4 for one in found])
GivesDoubles = answers(lambda found: [one.astype(float) for one in found])
GivesOneArray = answers(lambda found: found[0] if found else found)
LeavesOutWhatIsEmpty = answers(lambda found: [one for one in found if len(one)])


class LoadsTheBaseOnly(Sound):
    @hookimpl
    def ragd_tune_load_adapter(self, request: LoadRequest) -> Any:
        return super().ragd_tune_load_adapter(replace(request, format="base", adapter=None))


class IgnoresTheLoss(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        plan = replace(plan, options={**plan.options, "loss": "bce"})
        return super().ragd_tune_train(plan, rows, emit)


class ReadsTheFirstPassageOnly(Sound):
    @hookimpl
    def ragd_tune_train(self, plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
        cut = [
            {**row, **{name: row[name][:1] for name in ("passages", "labels")}}  # type: ignore[index]
            for row in rows.train
        ]
        return super().ragd_tune_train(plan, replace(rows, train=cut), emit)


def __getattr__(name: str) -> Callable[[], Registry]:
    """Return what makes a registry of one plugin: ``rerankers:registry_of_Sound``."""
    kind = name.removeprefix("registry_of_")
    if kind == name or kind not in globals():
        raise AttributeError(name)
    return lambda: registry(globals()[kind]())
