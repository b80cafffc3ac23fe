"""The work bench of a backend's suite: plans, runs and loaded models, all through the hooks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ragd_tune.backends import Backend, LoadRequest, TrainCell
from ragd_tune.objectives import Row, Rows, batches, contrasting
from ragd_tune.options import RUN, Value, options_of_tuning
from ragd_tune.plan import (
    BaseModel,
    Device,
    Estimate,
    Event,
    TrainPlan,
    TrainResult,
)
from ragd_tune.registry import Registry
from ragd_tune.testing.loaded import Loaded
from ragd_tune.testing.objectives import COVERED, Checks

Files = dict[str, bytes]


class Author(Protocol):
    """What the bench asks of the class that a backend's author wrote."""

    backend: str
    steps: int

    def base_of(self, objective: str, folder: Path) -> Path:
        """Make a base model for ``objective`` below ``folder`` and return its folder."""
        ...

    def rows(self, objective: str) -> Rows:
        """Return rows to train on."""
        ...

    def options(self, cell: TrainCell) -> Mapping[str, Value]:
        """Return options that differ from the suite's own."""
        ...


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished training."""

    plan: TrainPlan
    rows: Rows
    result: TrainResult
    events: list[Event]

    @property
    def files(self) -> Files:
        """Every file of the adapter, by its path in it."""
        return snapshot(self.plan.out)

    @property
    def losses(self) -> list[tuple[int, float | None]]:
        """Step and loss of every event of a step."""
        return [(event.step, event.loss) for event in self.events if event.type == "step"]


@dataclass(kw_only=True)
class Bench:
    """Plans and runs for one backend below one folder; what is slow is made once and kept."""

    author: Author
    registry: Registry
    folder: Path
    _runs: dict[TrainCell, Run] = field(default_factory=dict)
    _bases: dict[str, BaseModel] = field(default_factory=dict)
    _count: int = 0

    @property
    def backend(self) -> Backend:
        """The backend under test."""
        return self.registry.backend(self.author.backend)

    def base(self, objective: str) -> BaseModel:
        """Return the author's base model for ``objective``, made on first use."""
        if objective not in self._bases:
            place = self.folder / f"base-{len(self._bases)}"
            place.mkdir(parents=True)
            path = self.author.base_of(objective, place)
            made = BaseModel(name="tiny", path=path, fingerprint=digest(snapshot(path)))
            self._bases[objective] = made
        return self._bases[objective]

    def checks(self, cell: TrainCell) -> Checks:
        """Return what the suite knows of the cell's objective."""
        return COVERED[cell.objective]

    def plan(self, cell: TrainCell, rows: Rows, **options: Value) -> TrainPlan:
        """Return a plan in a folder of its own, whose path is unlike that of any other."""
        self._count += 1
        run = self.folder / f"run-{self._count}-{'x' * (self._count % 7)}"
        own = self.registry.objectives[cell.objective].options
        tuned = options_of_tuning(cell.tuning)
        every = (*RUN, *own, *tuned, *self.backend.options)
        values = {option.name: option.default for option in every}
        steps: dict[str, Value] = {"max_steps": self.author.steps}
        checks = self.checks(cell)
        wanted = {**_QUICK, **steps, **checks.settings, **self.author.options(cell), **options}
        values |= {name: value for name, value in wanted.items() if name in values}
        return TrainPlan(
            kind=checks.kind,
            objective=cell.objective,
            tuning=cell.tuning,
            side=cell.side,
            backend=self.author.backend,
            device=cell.device,
            base=self.base(cell.objective),
            data_fingerprint=rows.fingerprint,
            rows_fingerprint=rows.fingerprint,
            out=run / "out",
            options=values,
        )

    def train(
        self, plan: TrainPlan, rows: Rows, emit: Callable[[Event], None] | None = None
    ) -> Run:
        """Train ``plan`` in this process, with the run's folder there and ``plan.out`` not."""
        events: list[Event] = []

        def note(event: Event) -> None:
            events.append(event)
            if emit is not None:
                emit(event)

        plan.out.parent.mkdir(parents=True, exist_ok=True)
        result = self.registry.call(
            plan.backend, "ragd_tune_train", plan=plan, rows=rows, emit=note
        )
        return Run(plan=plan, rows=rows, result=result, events=events)

    def fresh(self, cell: TrainCell, **options: Value) -> Run:
        """Train the author's rows anew."""
        rows = self.author.rows(cell.objective)
        return self.train(self.plan(cell, rows, **options), rows)

    def reference(self, cell: TrainCell) -> Run:
        """Return the one undisturbed run of ``cell`` that others are compared with."""
        if cell not in self._runs:
            self._runs[cell] = self.fresh(cell)
        return self._runs[cell]

    def estimate(self, plan: TrainPlan, rows: Rows) -> Estimate:
        """Ask what ``plan`` will cost."""
        plan.out.parent.mkdir(parents=True, exist_ok=True)
        made: Estimate = self.registry.call(
            plan.backend, "ragd_tune_estimate", plan=plan, rows=rows
        )
        return made

    def load(self, run: Run, **changes: Any) -> Loaded:
        """Load what ``run`` made; ``changes`` are fields of the request."""
        request = LoadRequest(
            objective=run.plan.objective,
            format=run.result.format,
            base=run.plan.base,
            device=run.plan.device,
            adapter=run.plan.out,
            facts=run.result.facts,
            side=run.plan.side,
        )
        return self.open(replace(request, **changes))

    def load_base(self, objective: str, device: Device, **changes: Any) -> Loaded:
        """Load the bare base."""
        base = self.base(objective)
        request = LoadRequest(objective=objective, format="base", base=base, device=device)
        return self.open(replace(request, **changes))

    def open(self, request: LoadRequest) -> Loaded:
        """Load what ``request`` asks for."""
        model = self.registry.call(self.author.backend, "ragd_tune_load_adapter", request=request)
        return Loaded(registry=self.registry, backend=self.author.backend, model=model)


_QUICK: dict[str, Value] = {
    "batch_size": 4,
    "learning_rate": 1e-3,
    "warmup": 0.0,
    # A constant rate: step 7 is then the same whether a run takes 7 steps or 8.
    "schedule": "constant",
    "precision": "fp32",
    "max_length": 32,
    "checkpoint_minutes": 10.0,
    "lora_rank": 4,
}


def steps_of(plan: TrainPlan, rows: Sequence[Row]) -> Iterator[list[int]]:
    """Yield the core's batches, step after step, for ever."""
    epoch = 0
    while True:
        yield from epoch_of(plan, rows, epoch)
        epoch += 1


def epoch_of(plan: TrainPlan, rows: Sequence[Row], number: int) -> list[list[int]]:
    """Return the core's batches of one epoch."""
    return batches(
        rows,
        batch_size=plan.integer("batch_size"),
        seed=plan.seed,
        epoch=number,
        contrasts=contrasting(plan.objective),
    )


def snapshot(folder: Path) -> Files:
    """Return every file below ``folder`` by its POSIX path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def differing(one: Run, two: Run) -> list[str]:
    """Return the names of files that are not the same in both adapters."""
    files = one.files, two.files
    names = sorted(files[0].keys() | files[1].keys())
    return [name for name in names if files[0].get(name) != files[1].get(name)]


def digest(files: Files) -> str:
    """Return the sha256 (hex) of names and bytes."""
    made = hashlib.sha256()
    for name, data in sorted(files.items()):
        made.update(f"{name}\0{len(data)}\0".encode() + data)
    return made.hexdigest()
