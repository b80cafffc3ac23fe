"""From values to places on a chart, and round numbers for its axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values ``low`` … ``high`` to places ``start`` … ``stop``."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Return the place of ``value``."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    @classmethod
    def over(
        cls, values: Iterable[float], start: float, stop: float, *, margin: float = 0.06
    ) -> Scale:
        """Return a scale that holds all ``values``, with some room at both ends."""
        found = list(values)
        low, high = min(found), max(found)
        room = (high - low) * margin or max(abs(high), 1.0) * 0.05
        return cls(low - room, high + room, start, stop)

    def ticks(self, most: int = 5) -> list[float]:
        """Return at most ``most`` + 1 round values between low and high."""
        step = _round_up((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def _round_up(value: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 × a power of ten that is not below ``value``."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(one * power for one in (1, 2, 2.5, 5, 10) if one * power >= value * (1 - 1e-9))


def label(value: float, *, signed: bool = False) -> str:
    """Return a tick's value, short, with a real minus sign."""
    shown = f"{value:+.4g}" if signed and abs(value) > 1e-12 else f"{value + 0.0:.4g}"
    return shown.replace("-", "−")
