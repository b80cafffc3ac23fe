"""Options that a tuning adds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ragd_tune.options.option import Option

LORA = (
    Option(
        name="lora_rank",
        type="int",
        default=16,
        low=1,
        high=512,
        group="tuning",
        help="rank of the LoRA matrices",
    ),
    Option(
        name="lora_alpha",
        type="float",
        default=32.0,
        low=0.1,
        high=4096,
        group="tuning",
        help="LoRA scale: updates are multiplied by alpha / rank",
    ),
    Option(
        name="lora_dropout",
        type="float",
        default=0.0,
        low=0.0,
        high=0.9,
        group="tuning",
        help="dropout in front of the LoRA matrices",
    ),
    Option(
        name="lora_targets",
        type="strs",
        default=("all-linear",),
        group="tuning",
        help="linear layers that get LoRA matrices, by the end of their names",
    ),
)
"""Options of the tunings ``lora``, ``dora`` and ``qlora``."""


def options_of_tuning(tuning: str) -> tuple[Option, ...]:
    """Return the options that ``tuning`` adds to a run."""
    return LORA if tuning in {"lora", "dora", "qlora"} else ()


OF_DOCUMENTS = frozenset({"document_prompt"})
"""Options that say how documents are embedded: where they stay frozen, the base decides that."""


def of_side(side: Literal["both", "query"], options: Iterable[Option]) -> tuple[Option, ...]:
    """Return those of ``options`` that a training of ``side`` reads."""
    idle = OF_DOCUMENTS if side == "query" else frozenset()
    return tuple(option for option in options if option.name not in idle)
