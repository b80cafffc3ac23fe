"""One option: its type, its range, its name in every source, and how a raw value is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ragd_tune.errors import UsageError

OptionType = Literal["int", "float", "bool", "str", "ints", "strs", "duration"]
"""``duration`` is written with its unit (``90s``, ``5m``, ``1h``) and read as seconds."""
Group = Literal["run", "tuning", "objective", "backend", "proof"]
Value = int | float | bool | str | tuple[int, ...] | tuple[str, ...] | None

_TRUE = {"1", "true", "yes", "on"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_FALSE = {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a run, a tuning, an objective, a backend or a proof.

    ``low`` and ``high`` are inclusive bounds of a number (or of each number of a list);
    ``optional`` allows ``None`` ("not set"), which an empty text means, too, unless it is a value
    of its own (``blank``). ``reason`` says why the default is what it is.
    ``follows`` names the option of the training whose value an option of the proof has that is not
    set: a model is judged in the words that it was trained in.
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
    blank: bool = False
    unit: str = ""
    reason: str = ""
    follows: str = ""

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
            "duration": "a time with its unit, such as 90s, 5m or 1h",
        }[self.type]
        bounds = _bounds(self.low, self.high)
        return f"{words}{bounds}{' (' + self.unit + ')' if self.unit else ''}"

    def parse(self, raw: object, *, where: str) -> Value:
        """Return ``raw`` as this option's type.

        :param where: the place that a message names: a flag, a variable, ``file:line``.
        :raises UsageError: when ``raw`` is of another type or out of range; names both.
        """
        if raw is None or (self.optional and raw == "" and not self.blank):
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


def _duration(raw: object) -> float:
    """Return seconds; a bare number is refused, since nothing says of what."""
    found = _DURATION.fullmatch(str(raw).strip().lower())
    if found is None or float(found[1]) == 0:
        raise ValueError(raw)
    return float(found[1]) * _SECONDS[found[2]]


_PARSERS: Mapping[str, Callable[[object], Value]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "str": _str,
    "ints": _ints,
    "strs": _strs,
    "duration": _duration,
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
