"""Options, declared once: flags, checks, documentation and plans read them from here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ragd_tune.errors import UsageError

OptionType = Literal["int", "float", "bool", "str", "ints", "strs"]
Group = Literal["run", "tuning", "objective", "backend"]
Value = int | float | bool | str | tuple[int, ...] | tuple[str, ...] | None

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a run, a tuning, an objective or a backend.

    ``low`` and ``high`` are inclusive bounds of a number (or of each number of a list);
    ``optional`` allows ``None`` ("not set"). ``reason`` says why the default is what it is.
    """

    name: str
    type: OptionType
    default: Value
    help: str
    group: Group = "objective"
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    unit: str = ""
    reason: str = ""

    @property
    def flag(self) -> str:
        """The command line's spelling: ``learning_rate`` → ``--learning-rate``."""
        return "--" + self.name.replace("_", "-").replace(".", "-")

    @property
    def variable(self) -> str:
        """The environment variable that sets this option."""
        return "RAGD_TUNE_" + self.name.replace(".", "_").replace("-", "_").upper()

    @property
    def range(self) -> str:
        """What is accepted, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        words = {
            "int": "a whole number",
            "float": "a number",
            "bool": "yes or no",
            "str": "a text",
            "ints": "whole numbers, comma-separated",
            "strs": "names, comma-separated",
        }[self.type]
        bounds = _bounds(self.low, self.high)
        return f"{words}{bounds}{' (' + self.unit + ')' if self.unit else ''}"

    def parse(self, raw: object, *, where: str) -> Value:
        """Return ``raw`` as this option's type.

        :param where: the place that a message names: a flag, a variable, ``file:line``.
        :raises UsageError: when ``raw`` is of another type or out of range; names both.
        """
        if raw is None or (self.optional and raw == ""):
            if self.optional:
                return None
            raise self._bad(raw, where)
        try:
            value = _PARSERS[self.type](raw)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._bad(raw, where) from error
        for item in value if isinstance(value, tuple) else (value,):
            self._check(item, raw, where)
        return value

    def _check(self, item: int | float | bool | str | None, raw: object, where: str) -> None:
        if self.choices and item not in self.choices:
            raise self._bad(raw, where)
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            return
        too_low = self.low is not None and item < self.low
        too_high = self.high is not None and item > self.high
        if too_low or too_high or not math.isfinite(item):
            raise self._bad(raw, where)

    def _bad(self, raw: object, where: str) -> UsageError:
        return UsageError(
            f"{where}: {self.name} cannot be {raw!r}", mend=f"{self.name} takes {self.range}"
        )


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    if low is not None:
        return f" of at least {_number(low)}"
    return f" of at most {_number(high)}" if high is not None else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _int(raw: object) -> int:
    if isinstance(raw, bool):
        raise TypeError(raw)
    if isinstance(raw, float):
        if not raw.is_integer():
            raise ValueError(raw)
        return int(raw)
    return raw if isinstance(raw, int) else int(str(raw).strip())


def _float(raw: object) -> float:
    if isinstance(raw, bool):
        raise TypeError(raw)
    # PyYAML reads ``2e-5`` as a text (YAML 1.1 wants a point), so texts are numbers here too.
    return float(raw) if isinstance(raw, (int, float)) else float(str(raw).strip())


def _bool(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(raw)


def _str(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError(raw)
    return raw


def _items(raw: object) -> list[object]:
    if isinstance(raw, str):
        return [part.strip() for part in raw.split(",") if part.strip()]
    if isinstance(raw, (list, tuple)):
        return list(raw)
    return [raw]


def _ints(raw: object) -> tuple[int, ...]:
    return tuple(_int(item) for item in _items(raw))


def _strs(raw: object) -> tuple[str, ...]:
    return tuple(_str(item) for item in _items(raw))


_PARSERS: Mapping[str, Callable[[object], Value]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "str": _str,
    "ints": _ints,
    "strs": _strs,
}


def with_defaults(options: Iterable[Option], defaults: Mapping[str, Value]) -> tuple[Option, ...]:
    """Return ``options`` with some defaults replaced, as a kind does.

    :raises ValueError: when a default names no option: a slip of the plugin's author.
    """
    options = tuple(options)
    unknown = sorted(set(defaults) - {option.name for option in options})
    if unknown:
        raise ValueError(f"defaults for options that do not exist: {', '.join(unknown)}")
    return tuple(
        replace(option, default=defaults[option.name]) if option.name in defaults else option
        for option in options
    )


CHOICES = (
    Option(
        name="tuning",
        type="str",
        default=None,
        optional=True,
        group="run",
        help="full, lora, dora, qlora or map; the kind's own default when not set",
    ),
    Option(
        name="side",
        type="str",
        default="both",
        choices=("both", "query"),
        group="run",
        help="query leaves documents frozen, so that the index needs no re-embedding",
    ),
    Option(
        name="backend",
        type="str",
        default=None,
        optional=True,
        group="run",
        help="who trains; the best that is installed when not set",
    ),
    Option(
        name="device",
        type="str",
        default="auto",
        choices=("auto", "cpu", "cuda", "mps"),
        group="run",
        help="where to train; auto takes the backend's best",
    ),
    Option(
        name="base",
        type="str",
        default=None,
        optional=True,
        group="run",
        help="base model: a folder or a name; the kind's own default when not set",
    ),
)
"""What is decided before anything else; the defaults of the other options depend on it."""

RUN = (
    Option(
        name="epochs",
        type="float",
        default=1.0,
        low=0.01,
        high=100,
        group="run",
        help="passes over the training rows",
    ),
    Option(
        name="minutes",
        type="float",
        default=None,
        low=0.05,
        high=100_000,
        optional=True,
        group="run",
        unit="minutes",
        help="train for about this long instead of whole epochs",
    ),
    Option(
        name="max_steps",
        type="int",
        default=None,
        low=1,
        high=10_000_000,
        optional=True,
        group="run",
        help="train exactly this many steps",
    ),
    Option(
        name="batch_size",
        type="int",
        default=32,
        low=2,
        high=4096,
        group="run",
        unit="rows",
        help="rows in one step; for in-batch negatives, more is harder",
    ),
    Option(
        name="learning_rate",
        type="float",
        default=5e-5,
        low=1e-7,
        high=1e-1,
        group="run",
        help="peak learning rate of AdamW",
    ),
    Option(
        name="warmup",
        type="float",
        default=0.1,
        low=0.0,
        high=0.9,
        group="run",
        help="share of the steps over which the learning rate rises",
    ),
    Option(
        name="schedule",
        type="str",
        default="linear",
        choices=("linear", "cosine", "constant"),
        group="run",
        help="how the learning rate falls after the warm-up",
    ),
    Option(
        name="weight_decay",
        type="float",
        default=0.01,
        low=0.0,
        high=1.0,
        group="run",
        help="AdamW's decoupled weight decay",
    ),
    Option(
        name="max_grad_norm",
        type="float",
        default=1.0,
        low=0.0,
        high=1000,
        group="run",
        help="gradients are clipped to this norm; 0 leaves them alone",
    ),
    Option(
        name="precision",
        type="str",
        default="auto",
        choices=("auto", "bf16", "fp32"),
        group="run",
        help="number format of the forward pass; auto takes bf16 where it is fast",
    ),
    Option(
        name="checkpoint_minutes",
        type="float",
        default=2.0,
        low=0.0,
        high=10_000,
        group="run",
        unit="minutes",
        help="how often a checkpoint is kept, at the least",
        reason="a crash costs at most this long",
    ),
    Option(
        name="checkpoint_steps",
        type="int",
        default=None,
        low=1,
        high=10_000_000,
        optional=True,
        group="run",
        unit="steps",
        help="keep a checkpoint every so many steps instead",
    ),
    Option(
        name="max_length",
        type="int",
        default=256,
        low=8,
        high=32_768,
        group="run",
        unit="tokens",
        help="longer texts are cut",
    ),
    Option(
        name="seed",
        type="int",
        default=0,
        low=0,
        high=2**31 - 1,
        group="run",
        help="decides the batches, new weights and dropout",
    ),
)
"""Options of every run."""

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

CONTRASTIVE = (
    Option(
        name="temperature",
        type="float",
        default=0.05,
        low=0.001,
        high=1.0,
        help="divides the cosines in the in-batch softmax",
        reason="sentence-transformers' scale of 20",
    ),
    Option(
        name="matryoshka_dims",
        type="ints",
        default=(),
        low=1,
        high=65_536,
        help="also train these leading dimensions (Matryoshka)",
    ),
    Option(
        name="query_prompt",
        type="str",
        default=None,
        optional=True,
        help="text put before every query; the base's own when not set",
    ),
    Option(
        name="document_prompt",
        type="str",
        default=None,
        optional=True,
        help="text put before every document; the base's own when not set",
    ),
    Option(
        name="negatives",
        type="int",
        default=1,
        low=0,
        high=64,
        help="explicit hard negatives used for each row, where the data has them",
    ),
)
"""Options of the objective ``contrastive``."""


def options_of_tuning(tuning: str) -> tuple[Option, ...]:
    """Return the options that ``tuning`` adds to a run."""
    return LORA if tuning in {"lora", "dora", "qlora"} else ()
