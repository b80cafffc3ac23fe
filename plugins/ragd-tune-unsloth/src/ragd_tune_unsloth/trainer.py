"""The steps of a training: a plain loop over the core's batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ragd_tune.plan import TrainPlan
from ragd_tune.training.course import rate
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import StepDone
from ragd_tune_unsloth.session import random_state, seed_everything, set_random_state
from ragd_tune_unsloth.tasks import Task

STATE = "state.pt"


class Trainer:
    """What a :class:`ragd_tune.training.job.Job` drives."""

    def __init__(self, plan: TrainPlan, task: Task) -> None:
        self.plan = plan
        self.task = task
        self.adamw = _optimizer(task.model, plan)
        self._random: dict[str, Tensor] | None = None

    def run(self, batches: Iterator[list[int]], *, start: int, steps: int, done: StepDone) -> None:
        """Take one step for each of ``batches``."""
        seed_everything(self.plan.seed)
        if self._random is not None:
            set_random_state(self._random, self.plan.device)
        self.task.model.train()
        for step, batch in enumerate(batches, start + 1):
            self._schedule(step - 1, steps)
            loss = self._step(step, batch)
            if done(step, loss, len(batch)):
                return

    def _schedule(self, step: int, steps: int) -> None:
        plan = self.plan
        share = rate(
            step,
            steps=steps,
            warmup=plan.number("warmup"),
            schedule=str(plan.options["schedule"]),
        )
        for group in self.adamw.param_groups:
            group["lr"] = share * plan.number("learning_rate")

    def _step(self, step: int, batch: Sequence[int]) -> float:
        value = 0.0
        for loss in self.task.losses(batch):
            value += float(loss.detach())
            if not math.isfinite(value):
                raise diverged(step, value, self.plan.number("learning_rate"))
            loss.backward()
        largest = self.plan.number("max_grad_norm")
        if largest > 0:
            torch.nn.utils.clip_grad_norm_(trained(self.task.model).values(), largest)
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)
        return value

    @torch.no_grad()
    def held_out(self, batches: Sequence[Sequence[int]]) -> float:
        """Return the mean loss over batches of held-out rows, without dropout."""
        model = self.task.model
        model.eval()
        losses = [sum(map(float, self.task.losses(batch, held_out=True))) for batch in batches]
        model.train()
        return sum(losses) / len(losses)

    def save(self, folder: Path) -> None:
        """Write weights, optimizer and random state into ``folder``."""
        state = {
            "weights": {name: p.detach().cpu() for name, p in trained(self.task.model).items()},
            "optimizer": self.adamw.state_dict()["state"],
            "random": random_state(self.plan.device),
        }
        torch.save(state, folder / STATE)

    def restore(self, folder: Path) -> None:
        """Read what :meth:`save` wrote; nothing is changed where it cannot be read."""
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        parameters = trained(self.task.model)
        values = [(p, state["weights"][name]) for name, p in parameters.items()]
        self.adamw.load_state_dict(
            {"state": state["optimizer"], "param_groups": self.adamw.state_dict()["param_groups"]}
        )
        with torch.no_grad():
            for parameter, value in values:
                parameter.copy_(value)
        self._random = state["random"]


def trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that training changes, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _optimizer(model: torch.nn.Module, plan: TrainPlan) -> torch.optim.AdamW:
    """Return AdamW; vectors (biases, layer norms) do not decay, as is usual."""
    parameters = list(trained(model).values())
    groups = [
        {
            "params": [p for p in parameters if p.ndim > 1],
            "weight_decay": plan.number("weight_decay"),
        },
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=plan.number("learning_rate")
    )
