"""What a training leaves: weights that are there whole or not at all, and PEFT's configuration."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ragd_tune.plan import BaseModel, TrainPlan
from ragd_tune.training.bases import portable_name

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

DECIDES = (
    *("peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "target_modules", "bias"),
    *("fan_in_fan_out", "init_lora_weights", "modules_to_save", "use_dora", "use_rslora"),
)
"""What decides a LoRA adapter. PEFT's other keys grow with its version and are at defaults."""


def put(out: Path, save: Callable[[Path], object]) -> None:
    """Have ``save`` write into a folder aside, and move it to ``out`` whole."""
    part = out.with_name(f"{out.name}.part")
    for place in (part, out):
        shutil.rmtree(place, ignore_errors=True)
    part.mkdir(parents=True)
    save(part)
    part.replace(out)


def blend(plan: TrainPlan) -> float:
    """Return the share of the trained weights in what is saved, the rest being the base's.

    saved = base + blend · (trained - base), over 0 and up to 1 (WiSE-FT, Wortsman et al. 2022,
    arXiv 2109.01903). It is 1 where the objective has no such option, and in a plan that is older
    than it. Checkpoints are never blended: a resumed run goes on with the trained weights.
    """
    share = plan.options.get("blend", 1.0)
    assert isinstance(share, (int, float))
    return float(share)


def write_config(out: Path, config: Mapping[str, object], base: BaseModel) -> None:
    """Write PEFT's configuration of an adapter: the same bytes on any machine.

    :param config: all that PEFT says of it; only what decides it is written.
    """
    kept = {key: config.get(key) for key in DECIDES}
    kept |= {"base_model_name_or_path": portable_name(base), "inference_mode": True}
    text = json.dumps(_plain(kept), indent=2, sort_keys=True, ensure_ascii=False)
    (out / CONFIG).write_text(text + "\n", encoding="utf-8", newline="\n")


def _plain(value: object) -> object:
    """Return JSON's types; a set becomes a sorted list, since a set has no order to repeat."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return getattr(value, "value", value)
    return str(value)
