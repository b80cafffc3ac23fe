"""The sides of a leg of ``benchmarks/cuda.py``: ours through the hooks, or plain libraries."""

from __future__ import annotations

import json
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.cuda_leg import ALPHA, RANK, RATE, Clock, Size, device


def leg(base: Path, name: str, size: Size, clock: Clock) -> dict[str, object]:
    """Run the leg ``WHO-TUNING`` on the model in ``base``, timed by ``clock``."""
    who, _, tuning = name.partition("-")
    llm = not (base / "modules.json").exists()
    if who != "plain":
        _ours(base, who, tuning, size, clock)
    elif llm:
        _trl(base, size, clock)
    else:
        _sentence_transformers(base, tuning, size, clock)
    return clock.told()


def rows_of(base: Path) -> list[dict[str, Any]]:
    """Return the rows that were made for the model in ``base``."""
    text = (base / "rows.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _ours(base: Path, who: str, tuning: str, size: Size, clock: Clock) -> None:
    from ragd_tune.objectives import Rows
    from ragd_tune.options import RUN, options_of_tuning
    from ragd_tune.plan import BaseModel, Event, TrainPlan
    from ragd_tune.registry import Registry

    registry = Registry()
    registry.register(import_module(f"ragd_tune_{who}.plugin"), name=who)
    llm = not (base / "modules.json").exists()
    objective = registry.objectives["causal_lm" if llm else "contrastive"]
    rows = Rows(objective=objective.id, train=rows_of(base))
    known = (*RUN, *objective.options, *options_of_tuning(tuning), *registry.backend(who).options)
    values = {option.name: option.default for option in known}
    wanted = {
        "batch_size": size.batch,
        "max_length": size.length,
        "learning_rate": RATE,
        "lora_rank": RANK,
        "lora_alpha": ALPHA,
        "micro_batch": size.batch,
        "checkpoint_minutes": 10_000.0,
        "precision": "bf16" if device() == "cuda" else "fp32",
    }
    with tempfile.TemporaryDirectory() as work:
        plan = TrainPlan(
            kind="any",
            objective=objective.id,
            tuning=tuning,
            side="both",
            backend=who,
            device="cuda" if device() == "cuda" else "cpu",
            base=BaseModel(name="random", path=base, fingerprint="0" * 64),
            data_fingerprint="0",
            rows_fingerprint=rows.fingerprint,
            out=Path(work) / "run" / "out",
            options={**values, **{n: v for n, v in wanted.items() if n in values}},
        )

        def emit(event: Event) -> None:
            if event.type == "start":
                clock.start()
            elif event.type == "step":
                clock.step(size.batch, event.loss or 0.0)

        plan.out.parent.mkdir(parents=True)
        registry.call(who, "ragd_tune_train", plan=plan, rows=rows, emit=emit)


def _callback(clock: Clock, size: Size) -> Any:
    from transformers import TrainerCallback

    class Timed(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            clock.start()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                clock.step(size.batch, float(logs["loss"]))

    return Timed()


def _settings(size: Size) -> dict[str, Any]:
    return {
        "num_train_epochs": 1,
        "per_device_train_batch_size": size.batch,
        "learning_rate": RATE,
        "warmup_steps": 0,
        "bf16": device() == "cuda",
        "use_cpu": device() == "cpu",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": 0,
    }


def _sentence_transformers(base: Path, tuning: str, size: Size, clock: Clock) -> None:
    from datasets import Dataset
    from peft import LoraConfig, TaskType
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(str(base), device=device())
    model.max_seq_length = size.length
    if tuning == "lora":
        config = LoraConfig(
            r=RANK,
            lora_alpha=int(ALPHA),
            target_modules=["query", "key", "value", "dense"],
            task_type=TaskType.FEATURE_EXTRACTION,
        )
        model.add_adapter(config)
    pairs = [{"anchor": row["query"], "positive": row["positive"]} for row in rows_of(base)]
    with tempfile.TemporaryDirectory() as work:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(output_dir=work, **_settings(size)),
            train_dataset=Dataset.from_list(pairs),
            loss=MultipleNegativesRankingLoss(model),
        )
        trainer.add_callback(_callback(clock, size))
        trainer.train()


def _trl(base: Path, size: Size, clock: Clock) -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trl: Any = import_module("trl")
    kind = torch.bfloat16 if device() == "cuda" else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=kind)
    model.to(device())
    with tempfile.TemporaryDirectory() as work:
        trainer = trl.SFTTrainer(
            model=model,
            processing_class=AutoTokenizer.from_pretrained(str(base)),
            args=trl.SFTConfig(
                output_dir=work,
                max_length=size.length,
                completion_only_loss=True,
                gradient_checkpointing=False,
                **_settings(size),
            ),
            train_dataset=Dataset.from_list(rows_of(base)),
            peft_config=LoraConfig(
                r=RANK, lora_alpha=int(ALPHA), target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )
        trainer.add_callback(_callback(clock, size))
        trainer.train()
