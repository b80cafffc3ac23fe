"""The fake backend's mathematics: in-batch softmax with its gradient, and AdamW."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ragd_tune.plan import TrainPlan
from ragd_tune.testing.fake_model import Matrix, unit

_FASTER = 30
"""One matrix takes larger steps than a transformer; the usual learning rates are multiplied."""
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass
class State:
    """Weights that are trained, by name, with AdamW's moments; all float32.

    ``full`` is the matrix itself; ``a`` (rank, places) and ``b`` (dimension, rank) add
    ``b @ a * scale`` to the frozen one.
    """

    frozen: Matrix
    weights: dict[str, Matrix]
    scale: float
    moments: dict[str, Matrix] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    step: int = 0

    @property
    def matrix(self) -> Matrix:
        """The encoder's matrix as it is now."""
        if "full" in self.weights:
            return self.weights["full"]
        return self.frozen + self.weights["b"] @ self.weights["a"] * np.float32(self.scale)

    def descend(self, gradient: Matrix, plan: TrainPlan, total: int) -> None:
        """Take one step against a gradient of the matrix."""
        grads = _clipped(self._by_weight(gradient), plan.number("max_grad_norm"))
        rate = _FASTER * plan.number("learning_rate") * share(plan, self.step, total)
        self.step += 1
        for name, grad in grads.items():
            change = self._adam(name, grad)
            decay = plan.number("weight_decay") * self.weights[name]
            self.weights[name] = _f32(self.weights[name] - rate * (change + decay))

    def _by_weight(self, gradient: Matrix) -> dict[str, Matrix]:
        if "full" in self.weights:
            return {"full": gradient}
        scale = np.float32(self.scale)
        a, b = self.weights["a"], self.weights["b"]
        return {"a": b.T @ gradient * scale, "b": gradient @ a.T * scale}

    def _adam(self, name: str, grad: Matrix) -> NDArray[np.floating]:
        """Return Adam's direction (Kingma and Ba, 2015, algorithm 1)."""
        zero = np.zeros_like(grad)
        mean = _BETA1 * self.moments.get(f"{name}.mean", zero) + (1 - _BETA1) * grad
        square = _BETA2 * self.moments.get(f"{name}.square", zero) + (1 - _BETA2) * grad**2
        self.moments |= {f"{name}.mean": _f32(mean), f"{name}.square": _f32(square)}
        unbiased = np.sqrt(square / (1 - _BETA2**self.step)) + _EPSILON
        direction: NDArray[np.floating] = mean / (1 - _BETA1**self.step) / unbiased
        return direction


def share(plan: TrainPlan, step: int, total: int) -> float:
    """Return the part (0 to 1) of the peak learning rate for the step after ``step``."""
    warm = round(plan.number("warmup") * total)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    return {
        "linear": 1 - done,
        "cosine": 0.5 * (1 + math.cos(math.pi * min(1.0, done))),
        "constant": 1.0,
    }[str(plan.options["schedule"])]


def softmax_loss(
    matrix: Matrix, queries: Matrix, passages: Matrix, temperature: float, dims: tuple[int, ...]
) -> tuple[float, Matrix]:
    """Return the in-batch softmax loss and its gradient by ``matrix``, the mean over ``dims``.

    Row i of ``queries`` belongs to row i of ``passages``; further passages are negatives of all.
    """
    gradient = np.zeros_like(matrix)
    losses = []
    for dim in dims:
        loss, part = _softmax(matrix[:dim], queries, passages, temperature)
        losses.append(loss)
        gradient[:dim] += part / np.float32(len(dims))
    return sum(losses) / len(dims), gradient


def _softmax(
    matrix: Matrix, queries: Matrix, passages: Matrix, temperature: float
) -> tuple[float, Matrix]:
    q, q_norm = unit(queries @ matrix.T)
    p, p_norm = unit(passages @ matrix.T)
    scores = q @ p.T / np.float32(temperature)
    scores -= scores.max(axis=1, keepdims=True)
    chances = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    own = np.arange(len(q))
    loss = float(-np.log(np.maximum(chances[own, own], 1e-30)).mean())
    chances[own, own] -= 1
    by_scores = chances / np.float32(len(q) * temperature)
    by_q = through_unit(by_scores @ p, q, q_norm)
    by_p = through_unit(by_scores.T @ q, p, p_norm)
    return loss, by_q.T @ queries + by_p.T @ passages


def through_unit(gradient: Matrix, rows: Matrix, norms: Matrix) -> Matrix:
    """Return the gradient before a row was brought to length 1."""
    along = (gradient * rows).sum(axis=1, keepdims=True)
    made: Matrix = (gradient - rows * along) / np.maximum(norms, np.float32(1e-6))
    return made


def _clipped(grads: dict[str, Matrix], most: float) -> dict[str, Matrix]:
    norm = math.sqrt(sum(float((grad**2).sum()) for grad in grads.values()))
    if not most or norm <= most:
        return grads
    return {name: grad * np.float32(most / norm) for name, grad in grads.items()}


def _f32(array: NDArray[np.floating]) -> Matrix:
    return array.astype(np.float32)
