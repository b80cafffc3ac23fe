"""The steps of a training in MLX: gradients, AdamW, and what a checkpoint has to hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import AdamW, clip_grad_norm
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from ragd_tune.plan import TrainPlan
from ragd_tune.training.course import rate
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import StepDone
from ragd_tune_mlx.weights import Arrays

STATE = "state.safetensors"


class Task(Protocol):
    """An objective as a framework sees it."""

    def pieces(self, part: str, indices: Sequence[int]) -> Sequence[Any]:
        """Return what :meth:`loss` reads of a batch: one piece, or several computed in turn.

        :param part: ``train`` or ``dev``, which the indices count in.
        """
        ...

    def loss(self, model: Any, piece: Any) -> mx.array:
        """Return the piece's share of the batch's loss, a scalar; shares are summed."""
        ...


class Trainer:
    """What a :class:`ragd_tune.training.job.Job` drives.

    The weights that are trained stay in float32 here, by name; ``model`` gets them in the number
    format of the forward pass.
    """

    def __init__(self, plan: TrainPlan, model: nn.Module, task: Task) -> None:
        self.plan = plan
        self.model = model
        self.task = task
        # Sorted: sums over all weights, as the norm of a gradient, must not depend on an order.
        self.weights: Arrays = dict(sorted(tree_flatten(model.trainable_parameters())))
        self.adamw = Optimizer(plan, self.weights)
        self._half = plan.options["precision"] == "bf16"
        if self._half:
            model.update(tree_map(self._cast, model.parameters()))
        self._gradients = mx.value_and_grad(self._loss)

    def _cast(self, value: mx.array) -> mx.array:
        is_float = self._half and value.dtype == mx.float32
        return value.astype(mx.bfloat16) if is_float else value

    def _put(self, weights: Arrays) -> None:
        made = [(name, self._cast(value)) for name, value in weights.items()]
        self.model.update(tree_unflatten(made))

    def _loss(self, weights: Arrays, piece: Any) -> mx.array:
        self._put(weights)
        return self.task.loss(self.model, piece)

    def run(self, batches: Iterator[list[int]], *, start: int, steps: int, done: StepDone) -> None:
        """Take one step for each of ``batches``.

        :raises TrainingDivergedError: the loss is not a number.
        """
        for step, indices in enumerate(batches, start):
            value = self._step(step, steps, indices)
            if done(step + 1, value, len(indices)):
                return

    def _step(self, step: int, steps: int, indices: Sequence[int]) -> float:
        plan = self.plan
        peak = plan.number("learning_rate")
        # Each step's dropout depends on its number alone: a resumed run needs no state of MLX's
        # generator, which can be read and not written.
        mx.random.seed(plan.seed * 1_000_003 + step)
        self.model.train()
        value, gradients = self._summed(self.task.pieces("train", indices))
        if not math.isfinite(value):
            raise diverged(step + 1, value, peak)
        bound = plan.number("max_grad_norm")
        if bound > 0:
            gradients, _ = clip_grad_norm(gradients, bound)
        shape, warmup = str(plan.options["schedule"]), plan.number("warmup")
        share = rate(step, steps=steps, warmup=warmup, schedule=shape)
        self.weights = self.adamw.step(gradients, self.weights, peak * share)
        return value

    def _summed(self, pieces: Sequence[Any]) -> tuple[float, Arrays]:
        """Return loss and gradients of a batch; one piece is held at a time."""
        value, total = 0.0, dict[str, mx.array]()
        for piece in pieces:
            loss, gradients = self._gradients(self.weights, piece)
            mx.eval(loss, gradients)
            value += float(loss.item())
            total = {n: total[n] + g if total else g for n, g in gradients.items()}
        return value, total

    def finish(self) -> None:
        """Leave ``model`` with the trained weights, in float32 and without dropout."""
        self._half = False
        self._put(self.weights)
        self.model.eval()

    def held_out(self, batches: Sequence[Sequence[int]]) -> float:
        """Return the mean loss over batches of held-out rows, without dropout."""
        self.model.eval()
        losses = []
        for indices in batches:
            pieces = self.task.pieces("dev", indices)
            losses.append(sum(float(self._loss(self.weights, one).item()) for one in pieces))
        return sum(losses) / len(losses)

    def save(self, folder: Path) -> None:
        """Write weights and optimizer into ``folder``."""
        state = {f"weights/{name}": value for name, value in self.weights.items()}
        mx.save_safetensors(str(folder / STATE), state | self.adamw.flat())

    def restore(self, folder: Path) -> None:
        """Read what :meth:`save` wrote."""
        state = mx.load(str(folder / STATE))
        mx.eval(state)
        weights = {name: state[f"weights/{name}"] for name in self.weights}
        self.adamw.restore(state)
        self.weights = weights


class Optimizer:
    """AdamW; vectors (biases, layer norms) do not decay, as is usual for encoders.

    MLX leaves bias correction out unless asked; with it, its steps are PyTorch's.
    """

    def __init__(self, plan: TrainPlan, weights: Arrays) -> None:
        peak, decay = plan.number("learning_rate"), plan.number("weight_decay")
        self._groups = {
            "matrices": AdamW(learning_rate=peak, weight_decay=decay, bias_correction=True),
            "vectors": AdamW(learning_rate=peak, weight_decay=0.0, bias_correction=True),
        }
        for name, group in self._groups.items():
            group.init(_of(name, weights))

    def step(self, gradients: Arrays, weights: Arrays, learning_rate: float) -> Arrays:
        """Return the weights after one step."""
        made: Arrays = {}
        for name, group in self._groups.items():
            group.learning_rate = learning_rate
            made |= group.apply_gradients(_of(name, gradients), _of(name, weights))
            mx.eval(made, group.state)
        return {name: made[name] for name in weights}

    def flat(self) -> Arrays:
        """Return the state as arrays by name."""
        return {
            f"{name}/{key}": value
            for name, group in self._groups.items()
            for key, value in tree_flatten(group.state)
        }

    def restore(self, flat: Arrays) -> None:
        """Take a state back that :meth:`flat` returned."""
        states = {
            name: {
                key: {k: flat[f"{name}/{key}.{k}"] for k in value}
                if isinstance(value, dict)
                else flat[f"{name}/{key}"]
                for key, value in group.state.items()
            }
            for name, group in self._groups.items()
        }
        for name, group in self._groups.items():
            group.state = states[name]


def _of(group: str, values: Arrays) -> Arrays:
    return {n: value for n, value in values.items() if (value.ndim > 1) == (group == "matrices")}
