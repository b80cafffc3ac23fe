"""What serving promises: the trained model itself comes back, and its answers keep the contract."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragd_tune.backends import TrainCell
from ragd_tune.errors import TuneError
from ragd_tune.plan import Role
from ragd_tune.testing.bench import Bench, Run, snapshot, steps_of
from ragd_tune.testing.hooks import Hooks, has_vectors, only, reads
from ragd_tune.testing.loaded import Loaded
from ragd_tune.testing.objectives import COVERED, Outputs
from ragd_tune.testing.objectives.checks import assert_close, differ, is_finite, picked
from ragd_tune.testing.samples import ODD

TEXTS = ["anchor apple", "garden", "harbour hill honey", "lamp leaf lemon letter island", "dust"]


class Serves(Hooks):
    """Tests of loading and answering, for every cell that runs here."""

    def _close(self, one: Outputs, two: Outputs) -> None:
        assert_close(one, two, tolerance=self.tolerance)

    def _loss(self, run: Run, model: Loaded, batch: list[int]) -> float:
        rows = [run.rows.train[i] for i in batch]
        found = COVERED[run.plan.objective].loss(model, rows, run.plan)
        if found is None:
            pytest.skip("the hooks do not show the loss of this objective")
        return found

    def test_what_is_loaded_is_what_was_trained(self, bench: Bench, cell: TrainCell) -> None:
        """The loss that the next step reports is the loss of the loaded model on its batch."""
        if self.loss_tolerance is None:
            pytest.skip("loss_tolerance is None: nothing was shown about what is loaded")
        run = bench.reference(cell)
        further = bench.fresh(cell, max_steps=self.steps + 1)
        batch = next(itertools.islice(steps_of(run.plan, run.rows.train), self.steps, None))
        found = self._loss(run, bench.load(run), batch)
        _, told = further.losses[-1]
        assert found == pytest.approx(told, abs=self.loss_tolerance)

    def test_the_first_loss_is_that_of_the_bare_base(self, bench: Bench, cell: TrainCell) -> None:
        if self.loss_tolerance is None:
            pytest.skip("loss_tolerance is None: nothing was shown about the objective")
        run = bench.reference(cell)
        batch = next(steps_of(run.plan, run.rows.train))
        length = run.plan.integer("max_length")
        model = bench.load_base(cell.objective, cell.device, max_length=length)
        found = self._loss(run, model, batch)
        assert found == pytest.approx(run.losses[0][1], abs=self.loss_tolerance)

    def test_an_adapter_loads_from_anywhere(
        self, bench: Bench, cell: TrainCell, tmp_path: Path
    ) -> None:
        first, then = tmp_path / "first", tmp_path / "then"
        own, checks = bench.base(cell.objective), bench.checks(cell)
        shutil.copytree(own.path, first / "base")
        rows = bench.author.rows(cell.objective)
        plan = replace(
            bench.plan(cell, rows, max_steps=1),
            base=replace(own, path=first / "base"),
            out=first / "run" / "out",
        )
        run = bench.train(plan, rows)
        before = bench.load(run)
        found = checks.outputs(before, TEXTS)
        before.model.close()
        shutil.copytree(first, then)
        shutil.rmtree(first)
        base = replace(own, path=then / "base")
        moved = bench.load(run, adapter=then / "run" / "out", base=base)
        self._close(checks.outputs(moved, TEXTS), found)

    def test_loading_and_answering_write_nothing(self, bench: Bench, cell: TrainCell) -> None:
        run, base = bench.reference(cell), bench.base(cell.objective).path
        before = run.files, snapshot(base)
        bench.checks(cell).outputs(bench.load(run), TEXTS)
        assert (run.files, snapshot(base)) == before

    def test_an_adapter_changes_what_its_side_is(self, bench: Bench, cell: TrainCell) -> None:
        run, checks = bench.reference(cell), bench.checks(cell)
        length = run.plan.integer("max_length")
        tuned = checks.outputs(bench.load(run), TEXTS)
        base = checks.outputs(
            bench.load_base(cell.objective, cell.device, max_length=length), TEXTS
        )
        frozen = checks.frozen() if cell.side == "query" else frozenset()
        self._close(*({way: found[way] for way in frozen} for found in (tuned, base)))
        changed = differ(tuned, base, by=checks.apart / 10)
        assert changed == {way: way not in frozen for way in changed}

    def test_a_bare_base_loads_through_the_same_hook(self, bench: Bench, cell: TrainCell) -> None:
        checks = bench.checks(cell)
        base = bench.load_base(cell.objective, cell.device)
        assert base.facts.max_length > 0
        checks.check_outputs(checks.outputs(base, TEXTS), TEXTS, base.facts)

    def test_the_loaded_model_has_the_facts_of_the_manifest(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        run = bench.reference(cell)
        assert bench.load(run).facts == run.result.facts

    def test_answers_are_finite_and_have_the_promised_shape(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        checks, model = bench.checks(cell), bench.load(bench.reference(cell))
        found = checks.outputs(model, TEXTS)
        checks.check_outputs(found, TEXTS, model.facts)
        assert is_finite(found)

    def test_each_answer_belongs_to_its_text_whatever_stands_beside_it(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        checks, model = bench.checks(cell), bench.load(bench.reference(cell))
        texts = [*TEXTS, *(f"{text} {'bird boat ' * i}" for i, text in enumerate(TEXTS * 20))]
        found = checks.outputs(model, texts)
        turned = list(range(len(texts)))[::-1]
        self._close(checks.outputs(model, texts[::-1]), picked(found, turned))
        for index in (0, 4, 17, len(texts) - 1):
            self._close(checks.outputs(model, [texts[index]]), picked(found, [index]))

    def test_equal_texts_have_equal_answers_and_others_have_others(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        checks = bench.checks(cell)
        model = bench.load(bench.reference(cell))
        found = checks.outputs(model, ["garden", "harbour", "garden"])
        self._close(picked(found, [0]), picked(found, [2]))
        assert all(differ(picked(found, [0]), picked(found, [1]), by=checks.apart).values())

    def test_no_texts_give_no_answers(self, bench: Bench, cell: TrainCell) -> None:
        checks, model = bench.checks(cell), bench.load(bench.reference(cell))
        found = checks.outputs(model, [])
        assert found
        assert not any(map(len, found.values()))
        checks.check_nothing(model)

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD)
    def test_odd_texts_have_answers(self, bench: Bench, cell: TrainCell, text: str) -> None:
        checks, model = bench.checks(cell), bench.load(bench.reference(cell))
        found = checks.outputs(model, [text, "garden"])
        assert is_finite(found)
        assert {len(answers) for answers in found.values()} == {2}

    def test_a_text_that_is_too_long_is_cut(self, bench: Bench, cell: TrainCell) -> None:
        checks, model = bench.checks(cell), bench.load(bench.reference(cell))
        one, two = checks.too_long(model.facts.max_length)
        self._close(checks.outputs(model, [one]), checks.outputs(model, [two]))

    @only(reads("query_prompt"))
    def test_prompts_are_put_before_texts_by_their_role(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        checks = bench.checks(cell)
        prompts: dict[Role, str] = {"query": "castle ", "document": "desert "}
        given = {f"{role}_prompt": prompt for role, prompt in prompts.items()}
        run = bench.fresh(cell, max_steps=1, **given)
        if cell.side == "query":
            del prompts["document"]
        facts = run.result.facts
        assert facts is not None
        assert facts.prompts == prompts
        found = checks.outputs(bench.load(run), TEXTS)
        without = bench.load(run, facts=replace(facts, prompts={}))
        for role, prompt in prompts.items():
            by_hand = checks.outputs(without, [prompt + text for text in TEXTS])
            self._close({role: found[role]}, {role: by_hand[role]})

    @only(has_vectors)
    def test_a_smaller_dimension_is_the_start_of_the_vector(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        run = bench.reference(cell)
        whole = bench.load(run)
        size = whole.facts.dimension // 2
        found = bench.load(run, dimension=size).embed(TEXTS)
        start = whole.embed(TEXTS)[:, :size]
        assert found.shape == start.shape
        if whole.facts.normalise:
            start = start / np.linalg.norm(start, axis=1, keepdims=True)
        np.testing.assert_allclose(found, start, rtol=0, atol=self.tolerance)

    def test_a_closed_model_leaves_others_open(self, bench: Bench, cell: TrainCell) -> None:
        run, checks = bench.reference(cell), bench.checks(cell)
        one, two = bench.load(run), bench.load(run)
        before = checks.outputs(two, TEXTS)
        one.model.close()
        self._close(checks.outputs(two, TEXTS), before)

    def test_an_unknown_export_format_is_a_clear_error(
        self, bench: Bench, cell: TrainCell, tmp_path: Path
    ) -> None:
        model = bench.load(bench.reference(cell)).model
        with pytest.raises(TuneError):
            bench.registry.call(
                self.backend,
                "ragd_tune_export",
                model=model,
                format="no-such-format",
                out=tmp_path / "out",
            )
        assert snapshot(tmp_path) == {}
