"""The fake backend's training loop: the core's batches, checkpoints, resuming, stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from ragd_tune.errors import DataError, TrainingDivergedError
from ragd_tune.objectives import Row, Rows, batches, contrasting
from ragd_tune.plan import DEADLINE, Emit, Estimate, Event, ModelFacts, Stop, TrainPlan, TrainResult
from ragd_tune.testing import fake_relevance
from ragd_tune.testing.fake_math import State, softmax_loss
from ragd_tune.testing.fake_model import (
    MODEL,
    PLACES,
    WEIGHT,
    Matrix,
    features,
    read,
    save,
    write_full,
    write_peft,
)
from ragd_tune.training.written import blend

_MEASURED = 3
_MOST_LOSSES = 1000
_LOSSES = "losses"


def train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult:
    """Train until the steps (or the minutes) are over; see ``ragd_tune_train``."""
    started = time.perf_counter()
    kept = plan.out.parent / "checkpoints"
    total = _steps(plan, rows)
    state = _resume(kept, _start(plan))
    resumed = state.step
    emit(Event(type="start", step=state.step, steps=total))
    for batch in _batches(plan, rows, state.step, total):
        if _is_late(plan, started):
            break
        loss = _one(plan, state, [rows.train[index] for index in batch], total)
        state.losses.append(loss)
        _after(plan, state, emit, Event(type="step", step=state.step, steps=total, loss=loss), kept)
    return TrainResult(
        format=_write(plan, state),
        steps=state.step,
        seconds=time.perf_counter() - started,
        peak_bytes=_bytes(plan, state),
        losses=tuple(enumerate(state.losses, 1))[-_MOST_LOSSES:],
        dev_losses=_dev(plan, state, rows),
        resumed_from=resumed,
        rows_seen=sum(map(len, _batches(plan, rows, 0, state.step))),
        facts=_facts(plan, state),
        versions={"numpy": np.__version__},
    )


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Time a few steps on weights of their own; nothing of it reaches :func:`train`."""
    total = _steps(plan, rows)
    state = _start(plan)
    some = list(islice(_batches(plan, rows, 0, total), _MEASURED))
    started = time.perf_counter()
    for batch in some:
        _one(plan, state, [rows.train[index] for index in batch], total)
    each = (time.perf_counter() - started) / len(some)
    return Estimate(
        seconds=each * total,
        steps=total,
        peak_bytes=_bytes(plan, state),
        measured_steps=len(some),
    )


def _start(plan: TrainPlan) -> State:
    matrix = read(plan.base.path / MODEL)[WEIGHT]
    if plan.tuning == "full":
        return State(frozen=matrix, weights={"full": matrix.copy()}, scale=1.0)
    rank = plan.integer("lora_rank")
    rng = np.random.default_rng(plan.seed)
    # LoRA's own start: A random, B zero, so that training begins at the base (Hu et al., 2021).
    a = rng.standard_normal((rank, PLACES)).astype(np.float32) / np.float32(math.sqrt(rank))
    weights = {"a": a, "b": np.zeros((len(matrix), rank), np.float32)}
    return State(frozen=matrix, weights=weights, scale=plan.number("lora_alpha") / rank)


def _one(plan: TrainPlan, state: State, batch: Sequence[Row], total: int) -> float:
    loss, gradient = _loss(plan, state, batch)
    if not math.isfinite(loss):
        raise TrainingDivergedError(
            f"the loss is {loss} at step {state.step + 1}", mend="use a smaller --learning-rate"
        )
    state.descend(gradient, plan, total)
    return loss


def _loss(plan: TrainPlan, state: State, batch: Sequence[Row]) -> tuple[float, Matrix]:
    if plan.objective == "relevance":
        listwise = plan.options["loss"] == "listwise"
        length = plan.integer("max_length")
        return fake_relevance.loss(state.matrix, batch, length, listwise=listwise)
    length, prompts = plan.integer("max_length"), _prompts(plan)
    negatives = [text for row in batch for text in _negatives(row, plan.integer("negatives"))]
    passages = [str(row["positive"]) for row in batch] + negatives
    queries = [str(row["query"]) for row in batch]
    return softmax_loss(
        state.matrix,
        _thinned(features(queries, prompts.get("query", ""), length), plan),
        _thinned(features(passages, prompts.get("document", ""), length), plan),
        plan.number("temperature"),
        _dims(plan, state) or (len(state.matrix),),
    )


def _thinned(found: Matrix, plan: TrainPlan) -> Matrix:
    """Return what dropout leaves of the features: the same ones each time."""
    share = plan.options.get("dropout", 0.0)
    if plan.side == "query" or not isinstance(share, float) or not share:
        return found
    made: Matrix = found.copy()
    made[:, : int(share * found.shape[1])] = 0.0
    return made


def _negatives(row: Row, most: int) -> list[str]:
    found = row.get("negatives", [])
    assert isinstance(found, (list, tuple))
    return [str(one) for one in found[:most]]


def _after(plan: TrainPlan, state: State, emit: Emit, event: Event, kept: Path) -> None:
    """Tell of a step; keep a checkpoint when it is time, and when the run has to stop."""
    every = plan.options.get("checkpoint_steps")
    if isinstance(every, int) and state.step % every == 0:
        _keep(kept, state, emit)
    try:
        emit(event)
    except Stop:
        _keep(kept, state, emit)
        raise


def _keep(folder: Path, state: State, emit: Emit) -> None:
    """Write a checkpoint whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    draft, target = folder / "draft", folder / f"step-{state.step:08}.safetensors"
    losses = np.asarray(state.losses)
    save(draft, {**state.weights, **state.moments, _LOSSES: losses})
    draft.replace(target)
    for old in folder.glob("step-*"):
        if old != target:
            old.unlink()
    emit(Event(type="checkpoint", step=state.step))


def _resume(folder: Path, state: State) -> State:
    """Go on from the last checkpoint that can be read; a torn one is passed over."""
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        try:
            kept = read(path)
        except SafetensorError:
            continue
        state.losses = kept.pop(_LOSSES).tolist()
        state.weights = {name: kept[name] for name in state.weights}
        state.moments = {name: one for name, one in kept.items() if name not in state.weights}
        state.step = int(path.stem.rpartition("-")[2])
        break
    return state


def _steps(plan: TrainPlan, rows: Rows) -> int:
    each = len(_epoch(plan, rows, 0))
    if not each:
        raise DataError("there are no rows that make a batch", mend="add more training data")
    if plan.options.get("max_steps") is not None:
        return plan.integer("max_steps")
    return max(1, round(plan.number("epochs") * each))


def _epoch(plan: TrainPlan, rows: Rows, epoch: int) -> list[list[int]]:
    size = plan.integer("batch_size")
    contrasts = contrasting(plan.objective)
    return batches(rows.train, batch_size=size, seed=plan.seed, epoch=epoch, contrasts=contrasts)


def _batches(plan: TrainPlan, rows: Rows, step: int, total: int) -> Iterator[list[int]]:
    """Yield the batches of the steps after ``step``, up to the last one."""
    at, epoch = 0, 0
    while at < total:
        for batch in _epoch(plan, rows, epoch):
            if step <= at < total:
                yield batch
            at += 1
        epoch += 1


def _is_late(plan: TrainPlan, started: float) -> bool:
    deadline = plan.options.get(DEADLINE)
    if isinstance(deadline, float) and time.time() > deadline:
        return True
    minutes = plan.options.get("minutes")
    return minutes is not None and time.perf_counter() - started > 60 * plan.number("minutes")


def _dev(plan: TrainPlan, state: State, rows: Rows) -> tuple[tuple[int, float], ...]:
    return ((state.step, _loss(plan, state, rows.dev)[0]),) if rows.dev else ()


def _write(plan: TrainPlan, state: State) -> str:
    share = np.float32(blend(plan))
    if plan.tuning == "full":
        made = share * state.matrix + (1 - share) * state.frozen
        write_full(plan.out, plan.base.path, made)
        return "full"
    b = share * state.weights["b"]
    write_peft(plan.out, state.weights["a"], b, plan.number("lora_alpha"))
    return "peft"


def _prompts(plan: TrainPlan) -> dict[str, str]:
    named = {role: plan.options.get(f"{role}_prompt") for role in ("query", "document")}
    return {role: str(text) for role, text in named.items() if text}


def _dims(plan: TrainPlan, state: State) -> tuple[int, ...]:
    """Return the dimensions that are trained, the whole one first; empty if it is the only one."""
    asked = plan.options.get("matryoshka_dims") or ()
    assert isinstance(asked, tuple)
    inner = {int(one) for one in asked if int(one) < len(state.matrix)}
    return tuple(sorted({len(state.matrix), *inner}, reverse=True)) if inner else ()


def _facts(plan: TrainPlan, state: State) -> ModelFacts:
    if plan.objective == "relevance":
        return ModelFacts(max_length=plan.integer("max_length"), normalise=False)
    return ModelFacts(
        dimension=len(state.matrix),
        max_length=plan.integer("max_length"),
        pooling="mean",
        prompts=_prompts(plan),
        dimensions=_dims(plan, state),
    )


def _bytes(plan: TrainPlan, state: State) -> int:
    """Return the bytes of weights, moments and one batch: what this backend itself takes."""
    held = [state.frozen, *state.weights.values(), *state.moments.values()]
    return sum(one.nbytes for one in held) + 8 * plan.integer("batch_size") * PLACES
