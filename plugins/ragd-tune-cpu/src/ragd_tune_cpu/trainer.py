"""The steps of a training, by sentence-transformers' trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ragd_tune.plan import TrainPlan
from ragd_tune.training import checkpoints
from ragd_tune.training.job import StepDone
from ragd_tune_cpu import loop, loss
from ragd_tune_cpu.session import random_state, seed_everything, set_random_state
from ragd_tune_cpu.trainee import Trainee

STATE = "state.pt"


def trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that training changes, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


class Trainer:
    """What a :class:`ragd_tune.training.job.Job` drives."""

    def __init__(self, plan: TrainPlan, trainee: Trainee) -> None:
        self.plan = plan
        self.trainee = trainee
        self._random: dict[str, torch.Tensor] | None = None

    def run(self, batches: Iterator[list[int]], *, start: int, steps: int, done: StepDone) -> None:
        """Take one step for each of ``batches``."""
        trainee = self.trainee
        with loss.precision(trainee.model, self.plan):
            loop.run(
                trainee.model,
                trainee.loss,
                self.plan,
                collate=trainee.train,
                groups=loop.Batches(batches, steps - start),
                adamw=trainee.adamw,
                start=start,
                steps=steps,
                work=checkpoints.folder_of(self.plan),
                before=self._start_random,
                done=done,
            )

    def _start_random(self) -> None:
        """Start the random numbers of training, or go on with those of the checkpoint."""
        seed_everything(self.plan.seed)
        if self._random is not None:
            set_random_state(self._random, self.plan.device)

    def held_out(self, batches: Sequence[Sequence[int]]) -> float:
        """Return the mean loss over batches of held-out rows."""
        trainee = self.trainee
        return loss.held_out(trainee.loss, trainee.dev, batches, self.plan.device)

    def save(self, folder: Path) -> None:
        """Write weights, optimizer and random state into ``folder``."""
        trainee = self.trainee
        state = {
            "weights": {name: p.detach().cpu() for name, p in trained(trainee.model).items()},
            "optimizer": trainee.adamw.state_dict()["state"],
            "random": random_state(self.plan.device),
        }
        torch.save(state, folder / STATE)

    def restore(self, folder: Path) -> None:
        """Read what :meth:`save` wrote."""
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        adamw = self.trainee.adamw
        with torch.no_grad():
            for name, parameter in trained(self.trainee.model).items():
                parameter.copy_(state["weights"][name])
        adamw.load_state_dict(
            {"state": state["optimizer"], "param_groups": adamw.state_dict()["param_groups"]}
        )
        self._random = state["random"]
