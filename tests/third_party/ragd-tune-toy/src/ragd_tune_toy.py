"""A backend in one file: texts are bags of hashed words, and training learns a linear map on them.

A base model is a folder with ``toy.safetensors``: a ``table`` of word vectors, float32 of shape
(buckets, dimension). An adapter is ``map.safetensors``: a ``map`` of shape (dimension, dimension).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from ragd_tune import hookimpl
from ragd_tune.backends import Availability, Backend, LoadRequest, serve_cells, train_cells
from ragd_tune.errors import DataError, TrainingDivergedError, TuneError
from ragd_tune.objectives import Row, Rows, batches
from ragd_tune.plan import (
    Emit,
    Estimate,
    Event,
    ModelFacts,
    Role,
    Stop,
    TrainPlan,
    TrainResult,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Tensors = dict[str, NDArray[Any]]

BETAS = (0.9, 0.999)


# -- what this backend is: data, and no import of NumPy ------------------------------------------


def detect() -> Availability:
    """Say that this runs wherever Python does: NumPy comes with ragd-tune."""
    return Availability(devices=("cpu",), priority=1)


TOY = Backend(
    name="toy",
    title="a bag of words and a linear map, in NumPy",
    train_cells=train_cells(("contrastive",), ("map",), ("cpu",)),
    serve_cells=serve_cells(("base", "map"), ("contrastive",), ("cpu",)),
    detect=detect,
)


@hookimpl
def ragd_tune_backends() -> Iterable[Backend]:
    """Declare one backend."""
    return [TOY]


# -- files ---------------------------------------------------------------------------------------


def save(tensors: Tensors, path: Path, **about: str) -> None:
    """Write a safetensors file whole or not at all."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata=about)
    part.replace(path)


def read(path: Path) -> tuple[Tensors, Mapping[str, str]]:
    """Return tensors and metadata of a safetensors file.

    :raises TuneError: it is not one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            return tensors, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise TuneError(f"{path}: not a model of the toy backend: {error}") from error


def make_base(folder: Path, *, buckets: int = 512, dimension: int = 16) -> Path:
    """Write a base model with random word vectors into ``folder`` and return it."""
    import numpy as np

    table = np.random.default_rng(0).standard_normal((buckets, dimension), np.float32)
    save({"table": table}, folder / "toy.safetensors")
    return folder


# -- the model -----------------------------------------------------------------------------------


@dataclass
class Encoder:
    """Word vectors, averaged, then mapped. Bucket 0 stands in every text, so none is empty."""

    table: Floats
    map: Floats
    facts: ModelFacts
    dimension: int

    def words(self, text: str, role: Role) -> list[int]:
        """Return the buckets of the words of ``text``, prompt first, cut to the longest length."""
        said = (self.facts.prompts.get(role, "") + text).lower().split()
        found = [crc32(word.encode()) % len(self.table) for word in said]
        return [0, *found[: self.facts.max_length - 1]]

    def bags(self, texts: Sequence[str], role: Role) -> Floats:
        """Return the mean word vector of each text, float64 (n, dimension)."""
        import numpy as np

        rows = [self.table[self.words(text, role)].mean(axis=0) for text in texts]
        return np.array(rows).reshape(-1, self.table.shape[1])

    def embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return vectors of length 1, float32 (n, dimension)."""
        import numpy as np

        made, _ = unit((self.bags(texts, role) @ self.map)[:, : self.dimension])
        return made.astype(np.float32)

    def close(self) -> None:
        """Nothing is held that Python does not free by itself."""


def unit(vectors: Floats) -> tuple[Floats, Floats]:
    """Return ``vectors`` at length 1, and the lengths (n, 1) that they had."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths, lengths


def encoder(base: Path, facts: ModelFacts | None, dimension: int | None = None) -> Encoder:
    """Return the bare base model."""
    import numpy as np

    table = read(base / "toy.safetensors")[0]["table"].astype(np.float64)
    size = table.shape[1]
    facts = facts or ModelFacts(dimension=size, max_length=512, pooling="mean")
    return Encoder(table=table, map=np.eye(size), facts=facts, dimension=dimension or size)


# -- training ------------------------------------------------------------------------------------


def facts_of(plan: TrainPlan, dimension: int) -> ModelFacts:
    """Return what the model of ``plan`` will be; its prompts are those of the options."""
    prompts = {role: plan.options[f"{role}_prompt"] for role in ("query", "document")}
    return ModelFacts(
        dimension=dimension,
        max_length=plan.integer("max_length"),
        pooling="mean",
        prompts={role: str(text) for role, text in prompts.items() if text},
    )


def loss_and_gradient(model: Encoder, rows: Sequence[Row], plan: TrainPlan) -> tuple[float, Floats]:
    """Return the in-batch softmax loss, and its gradient by the map.

    With logits s_ij = cos(q_i, p_j) / temperature, dloss/ds = (softmax(s) - identity) / n.
    """
    import numpy as np

    asked = model.bags([str(row["query"]) for row in rows], "query")
    passages = [str(row["positive"]) for row in rows]
    for row in rows:
        own = row.get("negatives", [])
        assert isinstance(own, list)
        passages += own[: plan.integer("negatives")]
    found = model.bags(passages, "document")
    (q, q_length), (p, p_length) = unit(asked @ model.map), unit(found @ model.map)
    temperature = plan.number("temperature")
    logits = q @ p.T / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    loss = -float(np.log(np.diagonal(shares)).mean())
    back = (shares - np.eye(*shares.shape)) / len(rows) / temperature
    gradient = asked.T @ across(back @ p, q, q_length) + found.T @ across(back.T @ q, p, p_length)
    return loss, gradient


def across(slope: Floats, side: Floats, length: Floats) -> Floats:
    """Return the part of ``slope`` that turns a vector; its length is divided out of it."""
    turned: Floats = (slope - side * (slope * side).sum(axis=1, keepdims=True)) / length
    return turned


def course(plan: TrainPlan, rows: Sequence[Row]) -> Iterator[list[int]]:
    """Yield the core's batches, epoch after epoch.

    :raises DataError: the rows make no batch.
    """
    for epoch in itertools.count():
        size = plan.integer("batch_size")
        made = batches(rows, batch_size=size, seed=plan.seed, epoch=epoch)
        if not made:
            raise DataError(
                f"{len(rows)} rows make no batch: in-batch negatives need at least 2 rows",
                mend="add pairs to the training split",
            )
        yield from made


def steps_of(plan: TrainPlan, rows: Sequence[Row]) -> int:
    """Return how many steps ``plan`` takes."""
    if plan.options["max_steps"] is not None:
        return plan.integer("max_steps")
    size, epochs = plan.integer("batch_size"), plan.number("epochs")
    passes = range(int(epochs) + 1)
    made = [len(batches(rows, batch_size=size, seed=plan.seed, epoch=i)) for i in passes]
    return max(1, sum(made[:-1]) + round((epochs - int(epochs)) * made[-1]))


class Training:
    """The state of a run: the map, Adam's moments, and what has been seen."""

    def __init__(self, plan: TrainPlan, rows: Rows) -> None:
        """Start at the bare base, or at the run's last checkpoint."""
        import numpy as np

        bare = encoder(plan.base.path, None)
        self.plan, self.rows = plan, rows.train
        self.model = replace(bare, facts=facts_of(plan, bare.dimension))
        self.moments = np.zeros((2, *self.model.map.shape))
        self.step = self.seen = 0
        self.losses: list[tuple[int, float]] = []
        self.steps = steps_of(plan, self.rows)
        self.file = plan.out.parent / "checkpoints" / "last.safetensors"

    def advance(self, batch: list[int]) -> float:
        """Take one step of Adam (arXiv 1412.6980) and return the loss before it."""
        import numpy as np

        rows = [self.rows[i] for i in batch]
        loss, gradient = loss_and_gradient(self.model, rows, self.plan)
        if not np.isfinite(loss):
            raise TrainingDivergedError(
                f"the loss is {loss} at step {self.step + 1}", mend="lower --learning-rate"
            )
        self.step, self.seen = self.step + 1, self.seen + len(batch)
        self.losses.append((self.step, loss))
        for moment, beta, value in zip(self.moments, BETAS, (gradient, gradient**2), strict=True):
            moment *= beta
            moment += (1 - beta) * value
        mean, square = (m / (1 - b**self.step) for m, b in zip(self.moments, BETAS, strict=True))
        self.model.map -= self.plan.number("learning_rate") * mean / (np.sqrt(square) + 1e-8)
        return loss

    def keep(self) -> None:
        """Write a checkpoint: numbers only, in float64, so that a resumed run is the same run."""
        import numpy as np

        state = {"map": self.model.map, "moments": self.moments, "losses": np.array(self.losses)}
        save(state, self.file, plan=self.plan.id, seen=str(self.seen))

    def blended(self) -> Floats:
        """Return the map to save: the option ``blend`` is no part of a checkpoint."""
        import numpy as np

        share = self.plan.number("blend")
        made: Floats = share * self.model.map + (1 - share) * np.eye(len(self.model.map))
        return made

    def resume(self) -> None:
        """Go on from the last checkpoint of this plan; one that is not whole does not count."""
        try:
            state, about = read(self.file)
        except TuneError:
            return
        if about.get("plan") == self.plan.id:
            self.model.map, self.moments = state["map"], state["moments"]
            self.losses = [(int(step), float(loss)) for step, loss in state["losses"]]
            self.step, self.seen = self.losses[-1][0], int(about["seen"])


# -- the directed hooks --------------------------------------------------------------------------


@hookimpl
def ragd_tune_estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Take three real steps on a state that is thrown away."""
    training, began = Training(plan, rows), time.perf_counter()
    measured = min(3, training.steps)
    for batch in itertools.islice(course(plan, rows.train), measured):
        training.advance(batch)
    seconds = (time.perf_counter() - began) / measured * training.steps
    size = training.model.table.nbytes + 8 * training.model.map.nbytes
    return Estimate(seconds=seconds, steps=training.steps, peak_bytes=size, measured_steps=measured)


@hookimpl
def ragd_tune_train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Learn the map."""
    import numpy as np

    began, training = time.perf_counter(), Training(plan, rows)
    training.resume()
    resumed, steps = training.step, training.steps
    emit(Event(type="start", step=resumed, steps=steps))
    for batch in itertools.islice(course(plan, rows.train), resumed, steps):
        loss = training.advance(batch)
        step = training.step
        every = plan.options["checkpoint_steps"]
        try:
            if isinstance(every, int) and step % every == 0:
                training.keep()
                emit(Event(type="checkpoint", step=step, steps=steps))
            emit(Event(type="step", step=step, steps=steps, loss=loss))
        except Stop:
            training.keep()
            raise
    save({"map": training.blended().astype(np.float32)}, plan.out / "map.safetensors")
    return TrainResult(
        format="map",
        steps=training.step,
        seconds=time.perf_counter() - began,
        peak_bytes=training.model.table.nbytes + 8 * training.model.map.nbytes,
        losses=tuple(training.losses[:1000]),
        resumed_from=resumed,
        rows_seen=training.seen,
        facts=training.model.facts,
        versions={"numpy": np.__version__},
    )


@hookimpl
def ragd_tune_load_adapter(request: LoadRequest) -> Encoder:
    """Load a base, and the map on it if there is one."""
    import numpy as np

    model = encoder(request.base.path, request.facts, request.dimension)
    if request.adapter is not None:
        model.map = read(request.adapter / "map.safetensors")[0]["map"].astype(np.float64)
    length = min(model.facts.max_length, request.max_length or model.facts.max_length)
    model.facts = replace(model.facts, max_length=length)
    return model


@hookimpl
def ragd_tune_embed(model: Encoder, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
    """Return unit vectors."""
    return model.embed(texts, role)
