"""The suite for backends that have PEFT's format: adapters of others mean the same here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragd_tune.backends import LoadRequest, ServeCell, TrainCell
from ragd_tune.errors import TuneError
from ragd_tune.interchange import peft, tensors
from ragd_tune.interchange.lora import Lora, Part
from ragd_tune.testing.bench import Bench, Run
from ragd_tune.testing.foreign import (
    drawn,
    drawn_part,
    edit,
    extra,
    fewer,
    merged,
    numbered,
    read,
    tables,
    written,
)
from ragd_tune.testing.hooks import Hooks, only, why_not
from ragd_tune.testing.objectives import COVERED, Outputs
from ragd_tune.testing.objectives.checks import assert_close, differ

TEXTS = ["anchor apple", "garden", "harbour hill honey", "lamp leaf lemon letter island"]
FORMAT = "peft"
HEADLESS = frozenset({"causal_lm", "contrastive"})
"""Objectives whose models have nothing beside the weights of their base."""


class InterchangeSuite(Hooks):
    """Tests that every backend passes which declares the format ``peft``.

    Subclass it beside :class:`ragd_tune.testing.BackendSuite`, with the same ``backend`` and
    ``base``. For each objective that the backend trains by LoRA and serves in ``peft``, it trains
    a little, reads what was written, and has the backend load adapters that somebody else could
    have made: with ranks and alphas of single layers, with rank-stabilised scales, with what
    cannot cross. ``interchange_tolerance`` is the largest difference of two answers: 1e-4.
    """

    interchange_tolerance: float = 1e-4

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each objective one cell of low rank that runs here."""
        if "cell" in metafunc.fixturenames:
            wanted = getattr(metafunc.function, "only", lambda checks: True)
            cells = [cell for cell in _cells(self) if wanted(COVERED[cell.objective])]
            ids = [f"{one.objective}-{one.tuning}" for one in cells]
            metafunc.parametrize("cell", cells, ids=ids)

    def test_it_has_something_to_show(self) -> None:
        assert _cells(self), f"{self.backend} trains nothing by LoRA and serves no {FORMAT} here"

    def test_what_it_writes_is_read_whole(self, bench: Bench, cell: TrainCell) -> None:
        found = read(bench.reference(cell))
        assert found.dora == (cell.tuning == "dora")
        for part in found.parts.values():
            assert part.rank == bench.reference(cell).plan.integer("lora_rank")
            assert np.isfinite(part.a).all()
            assert np.isfinite(part.b).all()

    def test_what_it_wrote_and_another_wrote_again_is_the_same_model(
        self, bench: Bench, cell: TrainCell, tmp_path: Path
    ) -> None:
        run = bench.reference(cell)
        again = written(run, read(run), tmp_path)
        self._same(bench, run, run.plan.out, again)

    def test_ranks_and_scales_of_single_layers_are_taken(
        self, bench: Bench, cell: TrainCell, tmp_path: Path
    ) -> None:
        run = bench.reference(cell)
        odd, plain = drawn(run), {}
        for name, part in odd.parts.items():  # the same updates at one rank and one scale
            wider = ((0, 4 - part.rank), (0, 0))
            a, b = np.pad(part.a, wider), np.pad(part.b * np.float32(part.scale), wider[::-1])
            plain[name] = replace(part, a=a, b=b, scale=1.0)
        one = written(run, odd, tmp_path / "odd")
        two = written(run, replace(odd, parts=plain), tmp_path / "plain")
        told = json.loads((one / peft.CONFIG).read_text(encoding="utf-8"))
        assert told["rank_pattern"]
        assert told["alpha_pattern"]
        self._same(bench, run, one, two)

    def test_a_rank_stabilised_scale_is_taken(
        self, bench: Bench, cell: TrainCell, tmp_path: Path
    ) -> None:
        run = bench.reference(cell)
        even = Lora(parts={n: drawn_part(p, 4, 1.0, i) for i, (n, p) in numbered(run)})
        one = written(run, even, tmp_path / "plain")
        two = written(run, even, tmp_path / "stabilised")
        edit(two, use_rslora=True, lora_alpha=math.sqrt(4))
        self._same(bench, run, one, two)

    @only(lambda checks: checks.objective in HEADLESS)
    @pytest.mark.parametrize("what", ["layers", "magnitudes", "tables"])
    def test_an_update_is_that_of_a_base_which_has_it_in_its_weights(
        self, bench: Bench, cell: TrainCell, tmp_path: Path, what: str
    ) -> None:
        run = bench.reference(cell)
        weights = tensors.read(run.plan.base.path / "model.safetensors")
        parts: Mapping[str, Part] = tables(weights)
        if what != "tables":
            parts = drawn(run, magnitudes=weights if what == "magnitudes" else None).parts
        adapter = written(run, Lora(parts=parts), tmp_path / "adapter")
        whole = merged(run, parts, weights, tmp_path / "whole")
        facts = run.result.facts
        bare = bench.open(
            LoadRequest(
                objective=cell.objective,
                format="base",
                base=whole,
                device=cell.device,
                max_length=facts.max_length if facts else None,
            )
        )
        outputs = COVERED[cell.objective].outputs
        untuned = bench.load_base(cell.objective, cell.device)
        answers = self._answers(bench, run, adapter)
        assert_close(answers, outputs(bare, TEXTS), tolerance=self.interchange_tolerance)
        changed = differ(answers, outputs(untuned, TEXTS), by=10 * self.interchange_tolerance)
        assert any(changed.values()), "the update changes nothing"

    def test_alpha_scales_the_update(self, bench: Bench, cell: TrainCell, tmp_path: Path) -> None:
        run = bench.reference(cell)
        even = Lora(parts={n: drawn_part(p, 4, 1.0, i) for i, (n, p) in numbered(run)})
        one = written(run, even, tmp_path / "one")
        two = written(run, even, tmp_path / "two")
        edit(two, lora_alpha=12)
        answers = [self._answers(bench, run, folder) for folder in (one, two)]
        assert any(differ(*answers, by=10 * self.interchange_tolerance).values())

    @pytest.mark.parametrize(
        "harm",
        [
            lambda folder: edit(folder, peft_type="IA3"),
            lambda folder: extra(folder),
            lambda folder: fewer(folder),
        ],
        ids=["not-lora", "a-whole-layer", "a-tensor-too-few"],
    )
    def test_what_it_cannot_take_whole_it_refuses(
        self, bench: Bench, cell: TrainCell, tmp_path: Path, harm: Callable[[Path], None]
    ) -> None:
        run = bench.reference(cell)
        folder = written(run, read(run), tmp_path)
        harm(folder)
        with pytest.raises(TuneError):
            bench.load(run, adapter=folder)

    def test_an_adapter_of_another_width_is_refused(
        self, bench: Bench, cell: TrainCell, tmp_path: Path
    ) -> None:
        run = bench.reference(cell)
        found = read(run)
        name, part = sorted(found.parts.items())[0]
        wider = replace(part, a=np.pad(part.a, ((0, 0), (0, 8))))
        folder = written(run, replace(found, parts={**found.parts, name: wider}), tmp_path)
        with pytest.raises(TuneError):
            bench.load(run, adapter=folder)

    def _answers(self, bench: Bench, run: Run, folder: Path) -> Outputs:
        return COVERED[run.plan.objective].outputs(bench.load(run, adapter=folder), TEXTS)

    def _same(self, bench: Bench, run: Run, one: Path, two: Path) -> None:
        answers = [self._answers(bench, run, folder) for folder in (one, two)]
        assert_close(*answers, tolerance=self.interchange_tolerance)


def _cells(author: Hooks) -> list[TrainCell]:
    """Return a cell by LoRA or DoRA for each objective that the backend serves in this format."""
    backend = author.registry().backend(author.backend)
    found: dict[tuple[str, str], TrainCell] = {}
    for cell in sorted(backend.train_cells):
        served = ServeCell(format=FORMAT, objective=cell.objective, device=cell.device)
        low_rank = cell.tuning in {"lora", "dora"} and cell.side == "both"
        here = low_rank and cell.objective in COVERED and not why_not(cell, backend)
        if here and served in backend.serve_cells:
            found.setdefault((cell.objective, cell.tuning), cell)
    return list(found.values())
