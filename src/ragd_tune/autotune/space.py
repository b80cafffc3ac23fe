"""Which options a search may change, and between which values: a table, and pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragd_tune.config import Setting
from ragd_tune.errors import UsageError
from ragd_tune.options import Option, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One searched option: a range on a logarithmic scale, or a few values. One of both is empty.

    ``default`` is among the values, or inside the range: the first trial takes it.
    """

    name: str
    default: float
    low: float = 0.0
    high: float = 0.0
    values: tuple[float, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        if self.values:
            return {"name": self.name, "values": list(self.values)}
        return {"name": self.name, "low": self.low, "high": self.high}

    @property
    def words(self) -> str:
        """What is tried, for a person."""
        if self.values:
            return f"{self.name} {'|'.join(f'{one:g}' for one in self.values)}"
        return f"{self.name} {self.low:g} to {self.high:g}"


FACTORS: Mapping[str, tuple[float, ...]] = {"epochs": (0.5, 1.0, 2.0)}
"""Options tried at these multiples of their default."""

RATE = "learning_rate"
DOWN, UP = 0.25, 2.0
"""The learning rate is tried from a quarter of its default to twice it, on a logarithmic scale.

Among the rates that ``docs/explanation/recipes.md`` lists, twice the best one breaks LoRA and
gains nothing for all weights; a set of few rows may want less.
"""

RANGES: Mapping[str, tuple[float, float]] = {"temperature": (0.02, 0.1)}
"""Options tried in a range of their own, on a logarithmic scale."""

VALUES: Mapping[str, tuple[float, ...]] = {
    "lora_rank": (8, 16, 32, 64),
    "negatives": (0, 1, 2, 4),
}
"""Options tried at these values and their default."""

_INSTEAD = ("max_steps", "minutes", "budget")
"""Options that decide how long a training takes, so that ``epochs`` does not."""

SEARCHED = (RATE, *VALUES, *RANGES, *FACTORS)
"""Every option that can be searched, in the order of the table of trials."""


def space(
    options: Iterable[Option], settings: Mapping[str, Setting], only: Sequence[str] = ()
) -> tuple[Axis, ...]:
    """Return what is searched: what the user left open, of ``only`` if that names any.

    :param settings: every option's settled value; what a user set stays as it is.
    :raises UsageError: ``only`` names what is not searched or what is set; or nothing is left.
    """
    open_ = {
        option.name: option
        for option in options
        if option.name in SEARCHED and _is_open(option.name, settings)
    }
    for name in only:
        _searchable(name, open_, settings)
    names = [name for name in SEARCHED if name in open_ and (not only or name in only)]
    axes = [_axis(open_[name], settings[name].value) for name in names]
    found = tuple(axis for axis in axes if axis is not None)
    if not found:
        raise UsageError(
            "every option that could be searched is set already",
            mend=f"leave one of {', '.join(SEARCHED)} open",
        )
    return found


def _is_open(name: str, settings: Mapping[str, Setting]) -> bool:
    """Say whether a run reads the option, and the user left it to us."""
    if name == "epochs" and any(settings[one].value is not None for one in _INSTEAD):
        return False
    return name in settings and settings[name].source in {"default", "kind"}


def _searchable(name: str, open_: Mapping[str, Option], settings: Mapping[str, Setting]) -> None:
    if name in open_:
        return
    if name in SEARCHED and name in settings:
        where = settings[name].where
        raise UsageError(
            f"--search: {name} is set already ({where})", mend="leave the one or the other out"
        )
    known = [one for one in SEARCHED if one in settings]
    raise UsageError(
        f"--search: {name!r} is not searched here", mend=f"name some of {', '.join(known)}"
    )


def _axis(option: Option, value: Value) -> Axis | None:
    """Return the option's axis; None where its default is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    name, whole = option.name, option.type == "int"
    if name in VALUES or name in FACTORS:
        near = VALUES.get(name) or tuple(value * factor for factor in FACTORS[name])
        values = {_inside(option, one) for one in near} | {value}
        made = sorted(int(one) if whole else float(one) for one in values)
        return Axis(name=name, default=value, values=tuple(made))
    low, high = RANGES.get(name, (value * DOWN, value * UP))
    low, high = min(low, value), max(high, value)
    return Axis(
        name=name,
        default=float(value),
        low=float(_inside(option, low)),
        high=float(_inside(option, high)),
    )


def _inside(option: Option, value: float) -> float:
    """Return ``value``, or the bound of ``option`` that it lies beyond."""
    if option.low is not None:
        value = max(value, option.low)
    return value if option.high is None else min(value, option.high)


def rounded(axis: Axis, value: float) -> float:
    """Return a drawn value as a person would write it: two digits of a number in a range."""
    if axis.values or value == axis.default:
        return value
    return min(max(float(f"{value:.2g}"), axis.low), axis.high)
