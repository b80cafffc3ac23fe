"""The objective ``causal_lm`` on a language model that Unsloth made ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.interchange.quantised import nf4
from ragd_tune.objectives import Frame, Rows, Sample, Samples, frame_of, learnt, parts, samples
from ragd_tune.plan import TrainPlan
from ragd_tune.training.facts import of_language
from ragd_tune_unsloth import adapter, engine, safe
from ragd_tune_unsloth.session import uses_bf16
from ragd_tune_unsloth.tasks import Ready
from ragd_tune_unsloth.tokens import context, padded, tokenizer_of


def fitting(plan: TrainPlan, rows: Rows) -> Ready:
    """Return the rows that fit, as tokens.

    :raises UsageError: packing is asked for.
    """
    if plan.options["packing"]:
        raise UsageError("Unsloth pads and does not pack", mend="--packing no, or --backend cpu")
    if not rows.train:
        return Ready(rows=rows)  # the course says what is wrong with no rows
    safe.check(plan.base.path, plan.base.name)
    frame = frame_of(tokenizer_of(plan.base), plan.options["chat_template"])
    made = samples(
        rows,
        frame,
        max_length=plan.integer("max_length"),
        drop=plan.options["too_long"] == "drop",
    )
    return Ready(rows=made.rows, samples=made, frame=frame)


class Language:
    """A language model in training."""

    def __init__(self, plan: TrainPlan, rows: Samples, frame: Frame) -> None:
        self.plan = plan
        self.rows = rows
        self._bf16 = uses_bf16(plan)
        self.model = self._load()
        tokenizer: Any = frame.tokenizer
        self._padding = int(tokenizer.pad_token_id)
        self.facts = of_language(
            plan,
            rows.rows,
            max_length=context(self.model.config, tokenizer),
            chat=frame.chat,
            bits=nf4(plan.tuning, "bfloat16" if self._bf16 else "float32"),
        )

    def _load(self) -> Any:
        plan, fast = self.plan, engine.fast("FastLanguageModel")
        checkpointing = "unsloth" if plan.options["unsloth.checkpointing"] else False
        model, _ = fast.from_pretrained(
            str(plan.base.path),
            max_seq_length=plan.integer("max_length"),
            dtype=torch.bfloat16 if self._bf16 else torch.float32,
            load_in_4bit=plan.tuning == "qlora",
            use_gradient_checkpointing=checkpointing,
            local_files_only=True,
            trust_remote_code=False,
        )
        if plan.tuning == "qlora" and not _is_4bit(model):
            raise TuneError(
                f"Unsloth loaded {plan.base.name} without quantising it",
                mend="--tuning lora; bitsandbytes takes no layers narrower than 64",
            )
        found = adapter.targets(model, plan.options["lora_targets"])
        wrapped = fast.get_peft_model(
            model,
            r=plan.integer("lora_rank"),
            lora_alpha=plan.number("lora_alpha"),
            lora_dropout=plan.number("lora_dropout"),
            # It takes the ends of names alone
            target_modules=sorted({name.rpartition(".")[2] for name in found}),
            use_gradient_checkpointing=checkpointing,
            random_state=plan.seed,
        )
        adapter.begin(wrapped, plan.seed)
        return wrapped

    def losses(self, batch: Sequence[int], *, held_out: bool = False) -> Iterator[Tensor]:
        """Yield the parts of the mean loss over the batch's learnt tokens."""
        known = self.rows.dev if held_out else self.rows.train
        count = learnt(known, batch)
        for part in parts(known, batch, size=self.plan.integer("micro_batch")):
            yield self._loss([known[index] for index in part], count)

    def _loss(self, part: Sequence[Sample], count: int) -> Tensor:
        inputs = padded(part, padding=self._padding, device=self.plan.device)
        with torch.autocast(self.plan.device, dtype=torch.bfloat16, enabled=self._bf16):
            made = self.model(**inputs, num_items_in_batch=torch.tensor(count))
        loss: Tensor = made.loss
        return loss

    def save(self, out: Path) -> None:
        """Write the adapter under ``out``."""
        adapter.save(self.model, out, self.plan.base)


def _is_4bit(model: torch.nn.Module) -> bool:
    return any("4bit" in type(module).__name__ for module in model.modules())
