"""The suite that every kind of model passes, ours and those of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

import pytest

from ragd_tune.data import DataSet
from ragd_tune.errors import DataError
from ragd_tune.kinds import ModelKind, Served, Slot, Trial
from ragd_tune.objectives import Rows
from ragd_tune.options import CHOICES, LORA, RUN, Option, Value, options_of_tuning, with_defaults
from ragd_tune.registry import Registry
from ragd_tune.testing import sides
from ragd_tune.testing.probe import probe
from ragd_tune.testing.samples import profiles, tiny_data

if TYPE_CHECKING:
    from ragd_tune.evaluate import Report

_ASK = """
from ragd_tune.kinds import Profile
kind = registry.kind({name!r})
tuning = kind.tunings[0]
kind.defaults(Profile(tuning=tuning, side="both", rows=9, device="cpu", cores=2, memory=0))
answer.update(names=[option.name for option in kind.options])
"""


class KindSuite:
    """Tests that every kind passes; subclass it in a test file and override what differs.

    ::

        class TestBiEncoder(KindSuite):
            kind = "bi-encoder"

    ``kind``
        The name that it has.
    ``data()``
        A data set to learn from and to prove on; :func:`ragd_tune.testing.tiny_data` by default.
    ``poor(data)`` and ``good(data)``
        A served model that finds few answers, and one that finds all of them.
    ``registry_from``
        ``module:function`` that makes the registry: all installed plugins by default.
    """

    kind: str = ""
    registry_from: str = "ragd_tune.registry:discover"

    def data(self) -> DataSet:
        """Return a data set with the splits train, dev and test."""
        return tiny_data(queries=160)

    def poor(self, data: DataSet) -> Served:
        """Return a side that finds some answers."""
        return sides.Side(dimension=len(data.corpus))

    def good(self, data: DataSet) -> Served:
        """Return a side that finds all answers."""
        return sides.Oracle(data)

    # -- what the tests use --------------------------------------------------------------------

    def registry(self) -> Registry:
        """Return the registry that ``registry_from`` makes."""
        module, _, name = self.registry_from.partition(":")
        made = getattr(import_module(module), name)()
        assert isinstance(made, Registry)
        return made

    def model_kind(self) -> ModelKind:
        """Return the kind under test."""
        return self.registry().kind(self.kind)

    def all_options(self, tuning: str) -> tuple[Option, ...]:
        """Return every option of a training by ``tuning``."""
        kind, objectives = self.model_kind(), self.registry().objectives
        own = objectives[kind.objectives[0]].options
        return (*RUN, *own, *kind.options, *options_of_tuning(tuning))

    def rows_of(self, data: DataSet) -> Rows:
        """Return the rows that the kind makes with its default options."""
        values: dict[str, Value] = {
            option.name: option.default for option in self.all_options(self.model_kind().tunings[0])
        }
        kind = self.model_kind()
        return kind.rows(data, kind.objectives[0], values)

    def prove(
        self, before: Callable[[], Served], after: Callable[[], Served], **fields: Any
    ) -> Report:
        """Return the kind's proof of ``after`` against ``before`` on the test split."""
        data = fields.pop("data", None) or self.data()
        judging = [option for option in self.model_kind().options if option.group == "proof"]
        trial = Trial(
            data=data,
            split="test",
            open_incumbent=before,
            open_candidate=after,
            open_embedder=lambda _: self.poor(data),
            options={option.name: option.default for option in judging},
        )
        return self.model_kind().prove(replace(trial, **fields))

    # -- what it says of itself ----------------------------------------------------------------

    def test_it_says_what_it_is(self) -> None:
        kind = self.model_kind()
        assert kind.name == self.kind
        assert kind.title
        assert kind.incumbent, "say what an adapter has to beat"
        assert kind.gate_metric
        assert kind.default_base
        assert kind.serves in get_args(Slot)
        assert kind.objectives
        assert set(kind.objectives) <= self.registry().objectives.keys()

    def test_its_tunings_are_named_once_each(self) -> None:
        tunings = self.model_kind().tunings
        assert tunings
        assert len(set(tunings)) == len(tunings)

    def test_asking_it_imports_no_framework_and_touches_nothing(self) -> None:
        what = _ASK.format(name=self.kind)
        told = probe(self.registry(), self.registry_from, f"kind {self.kind}", what)
        assert told["imported"] == []
        assert told["done"] == []

    def test_its_options_are_its_own_and_their_defaults_are_valid(self) -> None:
        kind = self.model_kind()
        objective = self.registry().objectives[kind.objectives[0]]
        taken = {option.name for option in (*CHOICES, *RUN, *LORA, *objective.options)}
        for option in kind.options:
            assert option.name not in taken, f"{option.name} is the core's; give it a default"
            assert option.help, option.name
            assert option.parse(option.default, where=option.name) == option.default
        assert len({option.name for option in kind.options}) == len(kind.options)

    def test_its_defaults_name_real_options_and_are_within_their_ranges(self) -> None:
        kind = self.model_kind()
        options = {tuning: self.all_options(tuning) for tuning in kind.tunings}
        for profile in profiles(kind.tunings):
            made = kind.defaults(profile)
            assert kind.defaults(profile) == made, "the same profile, the same defaults"
            for option in with_defaults(options[profile.tuning], made):
                if option.name in made:
                    where = f"{option.name} for {profile}"
                    assert option.parse(option.default, where=where) == option.default

    # -- rows ----------------------------------------------------------------------------------

    def test_rows_obey_the_schema_of_the_objective(self) -> None:
        rows, kind = self.rows_of(self.data()), self.model_kind()
        objective = self.registry().objectives[kind.objectives[0]]
        assert rows.objective == kind.objectives[0]
        assert rows.train
        for part, name in ((rows.train, "train"), (rows.dev, "dev")):
            for number, row in enumerate(part):
                objective.check(row, where=f"{name}:{number}")

    def test_the_same_data_gives_the_same_rows(self) -> None:
        assert self.rows_of(self.data()).fingerprint == self.rows_of(self.data()).fingerprint

    def test_rows_never_use_what_the_test_split_says(self) -> None:
        data = self.data()
        told = self.rows_of(data).fingerprint
        turned = dict(zip(data.qrels["test"], [*data.qrels["test"].values()][::-1], strict=True))
        for test in ({}, turned):
            changed = data.with_qrels({**data.qrels, "test": test})
            assert self.rows_of(changed).fingerprint == told

    def test_no_test_query_is_among_the_rows(self) -> None:
        data = self.data()
        asked = {data.queries[qid].text for qid in data.qrels["test"]}
        rows = self.rows_of(data)
        for row in (*rows.train, *rows.dev):
            assert asked.isdisjoint(map(str, row.values()))

    def test_training_rows_do_not_depend_on_dev(self) -> None:
        data = self.data()
        without = data.with_qrels({**data.qrels, "dev": {}})
        assert self.rows_of(without).train == self.rows_of(data).train

    def test_data_without_training_queries_is_an_error_that_says_so(self) -> None:
        data = self.data()
        with pytest.raises(DataError) as refused:
            self.rows_of(data.with_qrels({**data.qrels, "train": {}}))
        assert "train" in refused.value.message
        assert refused.value.mend

    # -- the proof -----------------------------------------------------------------------------

    def test_the_proof_travels_as_json_and_names_the_gate(self) -> None:
        data = self.data()
        report = self.prove(lambda: self.poor(data), lambda: self.good(data))
        assert type(report).from_json(report.to_json()) == report
        assert report.gate_metric == self.model_kind().gate_metric
        assert report.counts.queries == len(data.qrels["test"])

    def test_a_better_side_passes_and_a_worse_one_does_not(self) -> None:
        data = self.data()
        better = self.prove(lambda: self.poor(data), lambda: self.good(data))
        worse = self.prove(lambda: self.good(data), lambda: self.poor(data))
        assert better.passed, better.reason
        assert better.gate.difference.mean > 0
        assert not worse.passed
        assert worse.gate.difference.mean < 0

    def test_equal_sides_do_not_pass(self) -> None:
        data = self.data()
        for side in (self.poor, self.good):
            report = self.prove(lambda side=side: side(data), lambda side=side: side(data))  # type: ignore[misc]
            assert not report.passed
            assert report.gate.difference.mean == 0
            assert report.reason

    def test_too_few_queries_prove_nothing(self) -> None:
        data = self.data()
        few = dict(list(data.qrels["test"].items())[:2])
        data = data.with_qrels({**data.qrels, "test": few})
        assert not self.prove(lambda: self.poor(data), lambda: self.good(data), data=data).passed

    def test_leaked_queries_are_left_out_and_counted(self) -> None:
        data = self.data()
        leaked = frozenset(list(data.qrels["test"])[:5])
        report = self.prove(lambda: self.poor(data), lambda: self.good(data), exclude=leaked)
        assert report.counts.excluded == len(leaked)
        assert report.counts.queries == len(data.qrels["test"]) - len(leaked)

    def test_looks_are_told_and_each_side_is_opened_once(self) -> None:
        data, opened = self.data(), list[str]()

        def poor() -> Served:
            opened.append("incumbent")
            return self.poor(data)

        def good() -> Served:
            opened.append("candidate")
            return self.good(data)

        report = self.prove(poor, good, looks=7)
        assert report.looks == 7
        assert sorted(opened) == ["candidate", "incumbent"]

    def test_the_same_proof_twice_gives_the_same_report(self) -> None:
        data = self.data()
        one, two = (self.prove(lambda: self.poor(data), lambda: self.good(data)) for _ in range(2))
        assert one == two
