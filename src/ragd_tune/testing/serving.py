"""What serving promises: the trained model itself comes back, and its vectors keep the contract."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragd_tune.backends import TrainCell
from ragd_tune.errors import TuneError
from ragd_tune.objectives import Row
from ragd_tune.plan import Role
from ragd_tune.testing.bench import Bench, Loaded, snapshot, steps_of
from ragd_tune.testing.hooks import Hooks
from ragd_tune.testing.samples import ODD

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXTS = ["anchor apple", "garden", "harbour hill honey", "lamp leaf lemon letter island", "dust"]
ROLES: tuple[Role, ...] = ("query", "document")


def contrastive_loss(model: Loaded, rows: Sequence[Row], *, temperature: float) -> float:
    """Return the in-batch softmax loss of ``rows``, with the first negative of each.

    -mean log softmax(cos(q_i, p_j) / temperature), where p are all positives, then all negatives
    of the batch, and p_i answers q_i (van den Oord et al. 2018, arXiv 1807.03748).
    """
    negatives = [text for row in rows for text in _texts(row)[:1]]
    queries = model.embed([str(row["query"]) for row in rows], "query").astype(np.float64)
    passages = [str(row["positive"]) for row in rows] + negatives
    found = model.embed(passages, "document").astype(np.float64)
    logits = unit(queries) @ unit(found).T / temperature
    top = logits.max(axis=1, keepdims=True)
    sums = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float(np.mean(sums - np.diagonal(logits)))


def _texts(row: Row) -> list[str]:
    found = row.get("negatives", [])
    assert isinstance(found, list)
    return found


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``vectors`` (n, d) at length 1."""
    made: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


class Serves(Hooks):
    """Tests of loading and embedding, for every cell that runs here."""

    def _close(self, one: NDArray[np.float32], two: NDArray[np.float32]) -> None:
        np.testing.assert_allclose(one, two, rtol=0, atol=self.tolerance)

    def test_what_is_loaded_is_what_was_trained(self, bench: Bench, cell: TrainCell) -> None:
        """The loss that the next step reports is the loss of the loaded model on its batch."""
        if self.loss_tolerance is None:
            pytest.skip("loss_tolerance is None: nothing was shown about what is loaded")
        run = bench.reference(cell)
        further = bench.fresh(cell, max_steps=self.steps + 1)
        batch = next(itertools.islice(steps_of(run.plan, run.rows.train), self.steps, None))
        model = bench.load(run)
        rows = [run.rows.train[i] for i in batch]
        found = contrastive_loss(model, rows, temperature=run.plan.number("temperature"))
        _, told = further.losses[-1]
        assert found == pytest.approx(told, abs=self.loss_tolerance)

    def test_the_first_loss_is_that_of_the_bare_base(self, bench: Bench, cell: TrainCell) -> None:
        if self.loss_tolerance is None:
            pytest.skip("loss_tolerance is None: nothing was shown about the objective")
        run = bench.reference(cell)
        batch = next(steps_of(run.plan, run.rows.train))
        length = run.plan.integer("max_length")
        model = bench.load_base(cell.objective, cell.device, max_length=length)
        rows = [run.rows.train[i] for i in batch]
        found = contrastive_loss(model, rows, temperature=run.plan.number("temperature"))
        assert found == pytest.approx(run.losses[0][1], abs=self.loss_tolerance)

    def test_an_adapter_loads_from_anywhere(
        self, bench: Bench, cell: TrainCell, tmp_path: Path
    ) -> None:
        first, then = tmp_path / "first", tmp_path / "then"
        shutil.copytree(bench.base.path, first / "base")
        rows = bench.author.rows(cell.objective)
        plan = replace(
            bench.plan(cell, rows, max_steps=1),
            base=replace(bench.base, path=first / "base"),
            out=first / "run" / "out",
        )
        run = bench.train(plan, rows)
        before = bench.load(run)
        found = [before.embed(TEXTS, role) for role in ROLES]
        before.model.close()
        shutil.copytree(first, then)
        shutil.rmtree(first)
        base = replace(bench.base, path=then / "base")
        moved = bench.load(run, adapter=then / "run" / "out", base=base)
        for role, vectors in zip(ROLES, found, strict=True):
            self._close(moved.embed(TEXTS, role), vectors)

    def test_loading_and_embedding_write_nothing(self, bench: Bench, cell: TrainCell) -> None:
        run = bench.reference(cell)
        before = run.files, snapshot(bench.base.path)
        bench.load(run).embed(TEXTS, "query")
        assert (run.files, snapshot(bench.base.path)) == before

    def test_an_adapter_changes_what_its_side_is(self, bench: Bench, cell: TrainCell) -> None:
        length = bench.reference(cell).plan.integer("max_length")
        tuned = bench.load(bench.reference(cell))
        base = bench.load_base(cell.objective, cell.device, max_length=length)
        assert not np.allclose(tuned.embed(TEXTS, "query"), base.embed(TEXTS, "query"), atol=1e-4)
        documents = tuned.embed(TEXTS, "document"), base.embed(TEXTS, "document")
        if cell.side == "query":
            self._close(*documents)
        else:
            assert not np.allclose(*documents, atol=1e-4)

    def test_a_bare_base_loads_through_the_same_hook(self, bench: Bench, cell: TrainCell) -> None:
        base = bench.load_base(cell.objective, cell.device)
        assert base.facts.dimension > 0
        assert base.facts.max_length > 0
        assert base.embed(TEXTS).shape == (len(TEXTS), base.facts.dimension)

    def test_the_loaded_model_has_the_facts_of_the_manifest(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        run = bench.reference(cell)
        assert bench.load(run).facts == run.result.facts

    @pytest.mark.parametrize("role", ROLES)
    def test_vectors_are_finite_float32_and_normalised_where_the_facts_say_so(
        self, bench: Bench, cell: TrainCell, role: Role
    ) -> None:
        model = bench.load(bench.reference(cell))
        found = model.embed(TEXTS, role)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float32
        assert found.shape == (len(TEXTS), model.facts.dimension)
        assert np.isfinite(found).all()
        if model.facts.normalise:
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)

    def test_each_vector_belongs_to_its_text_whatever_stands_beside_it(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        model = bench.load(bench.reference(cell))
        texts = [*TEXTS, *(f"{text} {'bird boat ' * i}" for i, text in enumerate(TEXTS * 20))]
        found = model.embed(texts)
        self._close(model.embed(texts[::-1])[::-1], found)
        for index in (0, 4, 17, len(texts) - 1):
            self._close(model.embed([texts[index]])[0], found[index])

    def test_equal_texts_have_equal_vectors_and_others_have_others(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        found = bench.load(bench.reference(cell)).embed(["garden", "harbour", "garden"])
        self._close(found[0], found[2])
        assert not np.allclose(found[0], found[1], atol=1e-3)

    def test_no_texts_give_no_vectors(self, bench: Bench, cell: TrainCell) -> None:
        model = bench.load(bench.reference(cell))
        found = model.embed([])
        assert found.shape == (0, model.facts.dimension)
        assert found.dtype == np.float32

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD)
    def test_odd_texts_have_vectors(self, bench: Bench, cell: TrainCell, text: str) -> None:
        found = bench.load(bench.reference(cell)).embed([text, "garden"])
        assert np.isfinite(found).all()
        assert found.shape[0] == 2

    def test_a_text_that_is_too_long_is_cut(self, bench: Bench, cell: TrainCell) -> None:
        model = bench.load(bench.reference(cell))
        start = "garden forest " * model.facts.max_length
        self._close(model.embed([start + "anchor"]), model.embed([start + "letter"]))

    def test_prompts_are_put_before_texts_by_their_role(
        self, bench: Bench, cell: TrainCell
    ) -> None:
        prompts: dict[Role, str] = {"query": "castle ", "document": "desert "}
        given = {f"{role}_prompt": prompt for role, prompt in prompts.items()}
        run = bench.fresh(cell, max_steps=1, **given)
        facts = run.result.facts
        assert facts is not None
        assert facts.prompts == prompts
        with_prompts = bench.load(run)
        without = bench.load(run, facts=replace(facts, prompts={}))
        for role in ROLES:
            by_hand = without.embed([prompts[role] + text for text in TEXTS], role)
            self._close(with_prompts.embed(TEXTS, role), by_hand)

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
        self._close(found, start)

    def test_a_closed_model_leaves_others_open(self, bench: Bench, cell: TrainCell) -> None:
        run = bench.reference(cell)
        one, two = bench.load(run), bench.load(run)
        before = two.embed(TEXTS)
        one.model.close()
        self._close(two.embed(TEXTS), before)

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
