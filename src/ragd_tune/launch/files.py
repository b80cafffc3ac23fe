"""What Axolotl reads: its YAML and its rows, from a plan. Pure but for the files that it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ragd_tune.errors import UsageError
from ragd_tune.objectives import Row, Rows
from ragd_tune.plan import TrainPlan
from ragd_tune.training.bounds import is_timed

CONFIG = "axolotl.yml"
DATA = "axolotl-train.jsonl"
_KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")
"""Axolotl takes them by itself, and they are for CUDA alone."""


def write(
    plan: TrainPlan, rows: Rows, folder: Path, *, processes: int, resume: Path | None = None
) -> Path:
    """Write configuration and rows below ``folder`` and return the configuration's path.

    Rows stay texts: Axolotl tokenises them, by the base's chat template where the plan says so. It
    cannot shorten a prompt and keep parts of it: what is too long is refused or dropped.

    :param processes: how many processes (GPUs) share a batch.
    :param resume: a checkpoint of Axolotl's to go on from.
    :raises UsageError: the plan has something that Axolotl cannot do.
    """
    import yaml

    chat = writes_chat(plan)
    lines = [json.dumps(_row(plan, row, chat=chat), ensure_ascii=False) for row in rows.train]
    (folder / DATA).write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = config(plan, folder, processes=processes)
    if resume is not None:
        made["resume_from_checkpoint"] = str(resume)
    path = folder / CONFIG
    path.write_text(yaml.safe_dump(made, sort_keys=True, allow_unicode=True), encoding="utf-8")
    return path


def config(plan: TrainPlan, folder: Path, *, processes: int) -> dict[str, object]:
    """Return Axolotl's configuration of ``plan``."""
    _refuse(plan)
    chat = writes_chat(plan)
    kind: dict[str, object] = {"type": "input_output"}
    if chat:
        kind = {
            "type": "chat_template",
            "field_messages": "messages",
            "roles_to_train": ["assistant"],
            "train_on_eos": "turn",
        }
    return {
        "base_model": str(plan.base.path),
        "trust_remote_code": False,
        "datasets": [{"path": str(folder / DATA), "ds_type": "json", **kind}],
        **({"chat_template": "tokenizer_default"} if chat else {}),
        "dataset_prepared_path": str(folder / "axolotl-prepared"),
        "output_dir": str(folder / "checkpoints"),
        "val_set_size": 0.0,
        "train_on_inputs": False,
        "sequence_len": plan.integer("max_length"),
        "excess_length_strategy": "drop" if plan.options["too_long"] == "drop" else "raise",
        "sample_packing": bool(plan.options["packing"]),
        "seed": plan.seed,
        "logging_steps": 1,
        "gradient_checkpointing": True,
        **_adapter(plan),
        **_batch(plan, processes),
        **_optimizer(plan),
        **_length(plan),
    }


def _refuse(plan: TrainPlan) -> None:
    if plan.objective != "causal_lm":
        raise UsageError(f"Axolotl trains language models, not {plan.objective}")
    if is_timed(plan):
        raise UsageError(
            "Axolotl's trainings cannot be bounded by time", mend="--max-steps or --epochs"
        )


def _adapter(plan: TrainPlan) -> dict[str, object]:
    targets = plan.options["lora_targets"]
    assert isinstance(targets, tuple)
    every = "all-linear" in targets
    return {
        "adapter": plan.tuning,
        "load_in_4bit": plan.tuning == "qlora",
        "lora_r": plan.integer("lora_rank"),
        "lora_alpha": round(plan.number("lora_alpha")),
        "lora_dropout": plan.number("lora_dropout"),
        **({"lora_target_linear": True} if every else {"lora_target_modules": list(targets)}),
        **({} if plan.device == "cuda" else dict.fromkeys(_KERNELS, False)),
    }


def _batch(plan: TrainPlan, processes: int) -> dict[str, object]:
    """Return how a batch is cut: ``batch_size`` rows in all, whatever the number of processes."""
    rows = plan.integer("batch_size")
    if rows % processes:
        raise UsageError(
            f"a batch of {rows} rows cannot be shared by {processes} processes",
            mend=f"--batch-size {processes * max(1, rows // processes)}",
        )
    own = rows // processes
    micro = max(n for n in range(1, min(own, plan.integer("micro_batch")) + 1) if own % n == 0)
    return {"micro_batch_size": micro, "gradient_accumulation_steps": own // micro}


def _optimizer(plan: TrainPlan) -> dict[str, object]:
    shape, warmup = str(plan.options["schedule"]), plan.number("warmup")
    wanted = plan.options["precision"]
    return {
        "optimizer": "adamw_torch",
        "learning_rate": plan.number("learning_rate"),
        "lr_scheduler": "constant_with_warmup" if shape == "constant" and warmup else shape,
        "warmup_ratio": warmup,
        "weight_decay": plan.number("weight_decay"),
        "max_grad_norm": plan.number("max_grad_norm"),
        "bf16": "auto" if wanted == "auto" else wanted == "bf16",
    }


def _length(plan: TrainPlan) -> dict[str, object]:
    made: dict[str, object] = {"num_epochs": plan.number("epochs")}
    if plan.options["max_steps"] is not None:
        made["max_steps"] = plan.integer("max_steps")
    every = plan.options["checkpoint_steps"]
    return made | ({"save_steps": every} if every is not None else {"saves_per_epoch": 4})


def _row(plan: TrainPlan, row: Row, *, chat: bool) -> dict[str, object]:
    prompt, answer = str(row["prompt"]), str(row["completion"])
    system = str(row.get("system") or "")
    if chat:
        turns = [("system", system)] if system else []
        turns += [("user", prompt), ("assistant", answer)]
        return {"messages": [{"role": role, "content": text} for role, text in turns]}
    first, last = _ends(plan)
    asked = f"{system}\n\n{prompt}" if system else prompt
    return {
        "segments": [
            {"label": False, "text": first + asked},
            {"label": True, "text": answer + last},
        ]
    }


def _ends(plan: TrainPlan) -> tuple[str, str]:
    """Return what the base's tokenizer puts before a text, and what ends one."""
    told = read(plan.base.path / "tokenizer_config.json")
    first = _token(told.get("bos_token")) if told.get("add_bos_token") else ""
    return first, _token(told.get("eos_token"))


def _token(told: object) -> str:
    return str(told["content"]) if isinstance(told, dict) else str(told or "")


def writes_chat(plan: TrainPlan) -> bool:
    """Say whether prompts go through the base's chat template.

    :raises UsageError: that is asked for, and the base has none.
    """
    path, wanted = plan.base.path, plan.options["chat_template"]
    has_one = (path / "chat_template.jinja").is_file()
    has_one = has_one or bool(read(path / "tokenizer_config.json").get("chat_template"))
    if wanted == "yes" and not has_one:
        raise UsageError(
            "this base's tokenizer has no chat template",
            mend="--chat-template no writes prompts as they are",
        )
    return has_one and wanted != "no"


def read(path: Path) -> Mapping[str, object]:
    """Return the JSON object in ``path``; empty if there is none."""
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}
