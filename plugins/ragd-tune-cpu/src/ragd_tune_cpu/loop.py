"""sentence-transformers' trainer as a plain loop over given batches, a call after each step."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base import BaseModel as Network
from transformers import PrinterCallback, TrainerCallback

from ragd_tune.plan import TrainPlan
from ragd_tune.training.course import rate
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import StepDone
from ragd_tune_cpu.many.group import GROUP
from ragd_tune_cpu.trainee import Collate


class Batches:
    """The given batches as a batch sampler: what the core composed, in that order, once."""

    def __init__(self, groups: Iterable[list[int]], count: int) -> None:
        self.groups = groups
        self.count = count
        self.sizes: deque[int] = deque()

    def __iter__(self) -> Iterator[list[int]]:
        for group in self.groups:
            self.sizes.append(len(group))
            yield GROUP.share(group)

    def __len__(self) -> int:
        return self.count


class Loop(SentenceTransformerTrainer):
    """The trainer without its card, its cards' look at the hub, and its silence about NaN."""

    loss_of_step = 0.0
    steps_before = 0

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Leave the card out: it would look at data and hub, and it is not kept."""

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Take one step's gradients; a loss that is no number ends the run before they count."""
        GROUP.reseed(self.args.seed, self.steps_before + self.state.global_step)
        loss = super().training_step(*args, **kwargs)
        assert self.model is not None
        if GROUP.size > 1:
            GROUP.sum_gradients([p for p in self.model.parameters() if p.requires_grad])
        self.loss_of_step = float(loss.detach())
        if not math.isfinite(self.loss_of_step):
            step = self.steps_before + self.state.global_step + 1
            raise diverged(step, self.loss_of_step, self.args.learning_rate)
        return loss


class _Hooks(TrainerCallback):
    def __init__(
        self, loop: Loop, groups: Batches, before: Callable[[], None], done: StepDone
    ) -> None:
        self.loop = loop
        self.sizes = groups.sizes
        self.before: Callable[[], None] | None = before
        self.done = done

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.before is not None:  # data loaders draw random numbers of their own until here
            self.before()
            self.before = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step = self.loop.steps_before + state.global_step
        over = self.done(step, self.loop.loss_of_step, self.sizes.popleft())
        if GROUP.most(float(over)):
            control.should_training_stop = True


def optimizer(model: torch.nn.Module, plan: TrainPlan) -> torch.optim.AdamW:
    """Return AdamW; vectors (biases, layer norms) do not decay, as is usual for encoders."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": plan.number("weight_decay")},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # In one pass over the weights; by the plain way, each of ten operations makes one of its own.
    fused = {p.device.type for p in trained} <= {"cpu", "cuda"}
    kept = [group for group in groups if group["params"]]
    return torch.optim.AdamW(kept, lr=plan.number("learning_rate"), fused=fused)


def schedule(
    made: torch.optim.Optimizer, plan: TrainPlan, *, start: int, steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return the learning rate's schedule from step ``start`` (from 0) of ``steps``."""
    warmup, shape = plan.number("warmup"), str(plan.options["schedule"])

    def factor(step: int) -> float:
        return rate(start + step, steps=steps, warmup=warmup, schedule=shape)

    return torch.optim.lr_scheduler.LambdaLR(made, factor)


def run(
    model: Network,
    loss: torch.nn.Module,
    plan: TrainPlan,
    *,
    collate: Collate,
    groups: Batches,
    adamw: torch.optim.Optimizer,
    start: int,
    steps: int,
    work: Path,
    before: Callable[[], None],
    done: StepDone,
) -> None:
    """Take one step for each of ``groups``, as the steps from ``start`` of ``steps``.

    ``before`` is called once, right before the first step; ``done`` after each.

    :raises TrainingDivergedError: the loss is not a number.
    """
    loop = Loop(
        model=model,  # type: ignore[arg-type]
        args=_arguments(plan, groups, work),
        train_dataset=Dataset.from_dict({"row": list(range(len(collate.rows)))}),
        loss=loss,
        data_collator=collate,  # type: ignore[arg-type]
        optimizers=(adamw, schedule(adamw, plan, start=start, steps=steps)),
    )
    loop.steps_before = start
    loop.remove_callback(PrinterCallback)
    loop.add_callback(_Hooks(loop, groups, before, done))
    loop.train()


def _arguments(
    plan: TrainPlan, groups: Batches, work: Path
) -> SentenceTransformerTrainingArguments:
    made = SentenceTransformerTrainingArguments(
        output_dir=str(work),
        max_steps=len(groups),
        per_device_train_batch_size=plan.integer("batch_size"),
        learning_rate=plan.number("learning_rate"),
        max_grad_norm=plan.number("max_grad_norm"),
        seed=plan.seed,
        use_cpu=plan.device == "cpu",
        batch_sampler=lambda *_, **__: groups,  # type: ignore[arg-type]
        dataloader_pin_memory=False,
        logging_nan_inf_filter=False,  # such a loss ends the run; looking again waits for a GPU
        disable_tqdm=True,
        report_to="none",
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
    )
    # With several GPUs the trainer would split each batch, and the in-batch negatives with it.
    made._n_gpu = min(made.n_gpu, 1)
    return made
