"""A small kind of model, sound, and broken in one way after another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ragd_tune import hookimpl
from ragd_tune.data import DataSet
from ragd_tune.errors import DataError
from ragd_tune.evaluate import Report, compare, evaluate_retrieval
from ragd_tune.kinds import ModelKind, Profile, Served, Slot, Trial
from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Option, Value
from ragd_tune.registry import Registry

counter = itertools.count()

DEPTH = Option(name="depth", type="int", default=3, low=1, high=9, help="how deep it looks")


@dataclass(frozen=True)
class Sound:
    name: str = "small"
    title: str = "a small kind"
    objectives: tuple[str, ...] = ("contrastive",)
    serves: Slot = "embedder"
    tunings: tuple[str, ...] = ("lora", "full")
    default_base: str = "tiny"
    options: tuple[Option, ...] = (DEPTH,)
    gate_metric: str = "ndcg@10"
    incumbent: str = "the base model"

    def defaults(self, profile: Profile) -> Mapping[str, Value]:
        return {"learning_rate": 5e-5 if profile.tuning == "full" else 5e-4, "depth": 2}

    def rows(self, data: DataSet, objective: str, options: Mapping[str, Value]) -> Rows:
        if "train" not in data.qrels:
            raise DataError("no training queries: qrels/train.tsv is empty", mend="add some")
        return Rows(objective="contrastive", train=self.part(data, "train"), dev=self.dev(data))

    def dev(self, data: DataSet) -> list[Row]:
        return self.part(data, "dev")

    def part(self, data: DataSet, split: str) -> list[Row]:
        return [
            {
                "query": pair.query.text,
                "positive": pair.document.passage,
                "positive_key": pair.document.id,
                "relevant_keys": sorted(data.qrels[split][pair.query.id]),
            }
            for pair in data.pairs(split)
        ]

    def prove(self, trial: Trial) -> Report:
        data, judged = trial.data, trial.data.qrels[trial.split]
        documents = [document.passage for document in data.corpus.values()]
        queries = [data.queries[qid].text for qid in judged]

        def scores(model: Served) -> Any:
            found = [model.embed(queries, "query"), model.embed(documents, "document")]
            assert isinstance(found[0], np.ndarray)
            assert isinstance(found[1], np.ndarray)
            return evaluate_retrieval(
                found[0],
                found[1],
                query_ids=list(judged),
                document_ids=list(data.corpus),
                qrels=judged,
            )

        return compare(
            scores(trial.open_incumbent()),
            scores(trial.open_candidate()),
            gate_metric=self.gate_metric,
            clusters=data.clusters(trial.split),
            known=data.known_and_new(trial.split)[0],
            exclude=trial.exclude,
            looks=trial.looks,
            seed=trial.seed,
        )


class SaysNothing(Sound):
    def __init__(self) -> None:
        super().__init__(incumbent="")


class TakesAnOptionOfTheCore(Sound):
    def __init__(self) -> None:
        super().__init__(options=(replace(DEPTH, name="epochs"),))


class DefaultsOutOfRange(Sound):
    def defaults(self, profile: Profile) -> Mapping[str, Value]:
        return {"learning_rate": 5.0 if profile.rows > 500_000 else 5e-5}


class DefaultsForNothing(Sound):
    def defaults(self, profile: Profile) -> Mapping[str, Value]:
        return {"no_such_option": 1}


class BreaksTheSchema(Sound):
    def part(self, data: DataSet, split: str) -> list[Row]:
        return [{**row, "relevant_keys": "d1"} for row in super().part(data, split)]


class NeverRepeats(Sound):
    def part(self, data: DataSet, split: str) -> list[Row]:
        return [{**row, "positive_key": f"k{next(counter)}"} for row in super().part(data, split)]


class LearnsFromTheTest(Sound):
    def part(self, data: DataSet, split: str) -> list[Row]:
        test = super().part(data, "test") if "test" in data.qrels else []
        return [*super().part(data, split), *test]


class PeeksAtTestJudgements(Sound):
    """Takes no test query, but leaves out the documents that answer one."""

    def part(self, data: DataSet, split: str) -> list[Row]:
        first = next(iter(data.qrels.get("test", {}).values()), {})
        return [{**row, "relevant_keys": sorted(first)} for row in super().part(data, split)]


class LearnsFromNothing(Sound):
    def rows(self, data: DataSet, objective: str, options: Mapping[str, Value]) -> Rows:
        return Rows(objective="contrastive", train=self.part(data, "train"), dev=self.dev(data))


class AlwaysPasses(Sound):
    def prove(self, trial: Trial) -> Report:
        report = super().prove(trial)
        return AlwaysTrue(**{name: getattr(report, name) for name in report.__slots__})


class AlwaysTrue(Report):
    __slots__ = ()

    @property
    def passed(self) -> bool:
        return True


class ComparesWithItself(Sound):
    def prove(self, trial: Trial) -> Report:
        return super().prove(replace(trial, open_incumbent=trial.open_candidate))


class KeepsTheLeaks(Sound):
    def prove(self, trial: Trial) -> Report:
        return super().prove(replace(trial, exclude=frozenset()))


class HidesTheLooks(Sound):
    def prove(self, trial: Trial) -> Report:
        return super().prove(replace(trial, looks=1))


class DrawsAnew(Sound):
    def prove(self, trial: Trial) -> Report:
        return super().prove(replace(trial, seed=next(counter)))


def __getattr__(name: str) -> Callable[[], Registry]:
    """Return what makes a registry of one kind: ``kinds:registry_of_Sound``."""
    kind = name.removeprefix("registry_of_")
    if kind == name or kind not in globals():
        raise AttributeError(name)

    class Plugin:
        @hookimpl
        def ragd_tune_model_kinds(self) -> list[ModelKind]:
            return [globals()[kind]()]

    def make() -> Registry:
        registry = Registry()
        assert registry.register(Plugin(), name="small"), registry.plugins
        return registry

    return make
