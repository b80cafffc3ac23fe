"""What an adapter does to another domain: whether it forgets what the base could do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ragd_tune.evaluate.metrics import title
from ragd_tune.evaluate.significance import Comparison
from ragd_tune.evaluate.words import numbers

if TYPE_CHECKING:
    from ragd_tune.evaluate.report import Report

TOLERANCE = 0.02
"""Loss of nDCG@10 elsewhere that is taken as the price of a gain: no larger than the smallest gain
that is worth a training, and above what fine-tuning usually costs (LM-Cocktail, Xiao et al. 2023:
49.8 → 48.5 of 100 on other tasks)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The base and the adapter on another domain, by the metric that decides.

    ``data`` and ``fingerprint`` name the other data set; ``tolerance`` is the loss that is allowed.
    """

    data: str
    fingerprint: str
    metric: str
    before: float
    after: float
    difference: Comparison
    tolerance: float = TOLERANCE

    @classmethod
    def of(cls, report: Report, *, data: str, fingerprint: str, tolerance: float) -> Elsewhere:
        """Take the deciding cell out of a comparison on the other domain."""
        gate = report.gate
        return cls(
            data=data,
            fingerprint=fingerprint,
            metric=gate.metric,
            before=gate.before,
            after=gate.after,
            difference=gate.difference,
            tolerance=tolerance,
        )

    @classmethod
    def read(cls, value: dict[str, Any] | None) -> Elsewhere | None:
        """Read what :func:`dataclasses.asdict` made of one.

        :raises TypeError: a field is missing or unknown.
        """
        if value is None:
            return None
        return cls(**{**value, "difference": Comparison(**value["difference"])})

    @property
    def forgets(self) -> bool:
        """Whether more than the tolerance is lost for sure: the whole 95% interval says so."""
        return self.difference.enough and self.difference.high < -self.tolerance

    @property
    def reason(self) -> str:
        """Why it is refused; empty when it is not."""
        if not self.forgets:
            return ""
        return (
            f"it forgets: on {self.data} the whole 95% interval of {title(self.metric)}"
            f" ({self.difference.low:+.4f} to {self.difference.high:+.4f}) lies below"
            f" {-self.tolerance:+.4g}"
        )

    def sentences(self) -> Iterator[str]:
        """Yield what is shown, in plain English."""
        found = self.difference
        values = f"{title(self.metric)} {self.before:.4f} → {self.after:.4f}"
        yield f"Elsewhere ({self.data}): {self._claim()}: {values} ({numbers(found)})."

    def _claim(self) -> str:
        found = self.difference
        if not found.enough:
            return "too few groups to say whether it forgets"
        if self.forgets:
            return f"it forgets, more than {self.tolerance:g} is lost"
        if found.high < 0:
            return f"it loses, but not more than {self.tolerance:g} for sure"
        return "it does better there, too" if found.low > 0 else "no loss could be shown"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-shaped copy."""
        return {**asdict(self), "forgets": self.forgets}
