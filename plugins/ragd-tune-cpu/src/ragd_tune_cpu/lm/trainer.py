"""The steps of a language model's training: a plain loop, for what is learned is the core's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from ragd_tune.objectives import Sample, learnt, parts
from ragd_tune.plan import TrainPlan
from ragd_tune.training import checkpoints
from ragd_tune.training.faults import diverged
from ragd_tune.training.job import StepDone
from ragd_tune_cpu import casts
from ragd_tune_cpu.lm.loss import summed
from ragd_tune_cpu.lm.prepare import Trainee
from ragd_tune_cpu.loop import schedule
from ragd_tune_cpu.loss import uses_bf16
from ragd_tune_cpu.trainer import Trainer, trained


class LMTrainer(Trainer):
    """What a :class:`ragd_tune.training.job.Job` drives; it keeps what any training keeps."""

    trainee: Trainee  # type: ignore[assignment]

    def __init__(self, plan: TrainPlan, trainee: Trainee) -> None:
        self.plan = plan
        self.trainee = trainee
        self._random = None
        self._bf16 = uses_bf16(plan)

    def run(self, batches: Iterator[list[int]], *, start: int, steps: int, done: StepDone) -> None:
        """Take one step for each of ``batches``.

        :raises TrainingDivergedError: the loss or the gradient is no number.
        """
        trainee = self.trainee
        course = schedule(trainee.adamw, self.plan, start=start, steps=steps)
        trainee.model.train()
        self._start_random()
        with casts.fewer(trainee.model, self.plan):
            for step, batch in enumerate(batches, start + 1):
                value = self._gradients(batch, step)
                self._clip(step)
                trainee.adamw.step()
                course.step()
                if done(step, value, len(batch)):
                    break
        trainee.model.eval()

    def _gradients(self, batch: Sequence[int], step: int) -> float:
        """Add up the gradients of a batch's parts; return its loss."""
        trainee, made, value = self.trainee, self.trainee.samples.train, 0.0
        trainee.adamw.zero_grad(set_to_none=True)
        total = max(1, learnt(made, batch))
        for part in parts(made, batch, size=self.plan.integer("micro_batch")):
            loss = self._loss([made[index] for index in part]) / total
            value += float(loss.detach())
            if not math.isfinite(value):
                raise self._diverged(step, value)
            loss.backward()
        return value

    def _loss(self, part: Sequence[Sample]) -> torch.Tensor:
        with torch.autocast(self.plan.device, dtype=torch.bfloat16, enabled=self._bf16):
            return summed(
                self.trainee.model,
                part,
                device=self.plan.device,
                padding=self.trainee.tokenizer.pad_token_id,
                packed=bool(self.plan.options["packing"]),
            )

    def _clip(self, step: int) -> None:
        most = self.plan.number("max_grad_norm") or math.inf
        norm = torch.nn.utils.clip_grad_norm_(trained(self.trainee.model).values(), most)
        if not math.isfinite(float(norm)):
            raise self._diverged(step, float(norm))

    def _diverged(self, step: int, value: float) -> Exception:
        kept = next(checkpoints.whole(self.plan), None)
        return diverged(
            step,
            value,
            self.plan.number("learning_rate"),
            kept=checkpoints.read_progress(kept).step if kept is not None else None,
        )

    @torch.no_grad()
    def held_out(self, batches: Sequence[Sequence[int]]) -> float:
        """Return the mean loss over batches of held-out rows."""
        made, total = self.trainee.samples.dev, 0.0
        self.trainee.model.eval()
        for batch in batches:
            found = sum(
                float(self._loss([made[index] for index in part]))
                for part in parts(made, batch, size=self.plan.integer("micro_batch"))
            )
            total += found / max(1, learnt(made, batch))
        self.trainee.model.train()
        return total / len(batches)
