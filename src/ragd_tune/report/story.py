"""What a report tells: a proof, and the run that made the adapter where that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ragd_tune.evaluate import Report

SCHEMA = 1
Answer = Literal["yes", "no", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How an adapter was made, read from its provenance.

    ``losses`` and ``dev_losses`` hold (step, loss); ``seconds`` and ``peak_bytes`` are of the
    training itself, and ``estimated`` what was said before: (seconds, bytes).
    """

    plan: Mapping[str, Any]
    steps: int
    seconds: float
    peak_bytes: int
    losses: tuple[tuple[int, float], ...] = ()
    dev_losses: tuple[tuple[int, float], ...] = ()
    estimated: tuple[float, int] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    data: str = ""

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> Run | None:
        """Read a provenance record's payload; None if it is not one of ours."""
        try:
            result, told = payload["result"], payload["result"].get("estimate")
            return cls(
                plan=dict(payload["plan"]),
                steps=int(result["steps"]),
                seconds=float(result["seconds"]),
                peak_bytes=int(result["peak_bytes"]),
                losses=_curve(result.get("losses")),
                dev_losses=_curve(result.get("dev_losses")),
                estimated=(float(told["seconds"]), int(told["peak_bytes"])) if told else None,
                versions={str(k): str(v) for k, v in result.get("versions", {}).items()},
                rows={str(k): int(v) for k, v in payload.get("rows", {}).items()},
                data=str(payload.get("data", {}).get("name", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None  # a record from elsewhere: the report does without it

    def get(self, name: str) -> str:
        """Return a decision of the plan as text; empty where it has none."""
        return str(self.plan.get(name, ""))


def _curve(raw: Any) -> tuple[tuple[int, float], ...]:
    return tuple((int(step), float(loss)) for step, loss in raw or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One adapter's proof, ready to be told.

    ``adapter`` is what users call it, ``data`` and ``data_fingerprint`` name the data set of the
    proof, ``at`` is when it was made (UTC, ISO 8601), ``base`` the base model's name.
    """

    adapter: str
    id: str
    kind: str
    base: str
    base_fingerprint: str
    report: Report
    data: str
    data_fingerprint: str
    split: str
    at: str = ""
    imported: bool = False
    run: Run | None = None

    @property
    def answer(self) -> Answer:
        """Whether to use the adapter: yes, no, or that it is open."""
        found = self.report.gate.difference
        if self.imported or not found.enough:
            return "open"
        return "yes" if self.report.passed else "no"

    @property
    def decision(self) -> str:
        """Say in a few words whether to use the adapter."""
        found = self.report.gate.difference
        if self.imported:
            return "Proven elsewhere: prove it on your own data first"
        if not found.enough:
            return "Nothing is shown: test it on more documents"
        if self.report.passed:
            return "Use it"
        if found.proven and self.report.loses_new:
            return "Do not use it: it loses on new documents"
        if found.proven:
            return "Do not use it: it forgets what the base can do elsewhere"
        return f"Do not use it: {'it is worse' if found.high < 0 else 'no gain is shown'}"

    def to_json(self) -> dict[str, object]:
        """Return everything that the pages show, as plain JSON."""
        run = self.run
        return {
            "schema": SCHEMA,
            "adapter": self.adapter,
            "id": self.id,
            "kind": self.kind,
            "base": {"name": self.base, "fingerprint": self.base_fingerprint},
            "data": {
                "name": self.data,
                "fingerprint": self.data_fingerprint,
                "split": self.split,
            },
            "at": self.at,
            "imported": self.imported,
            "decision": self.decision,
            "proof": self.report.to_json(),
            "run": None if run is None else _told(run),
        }


def _told(run: Run) -> dict[str, object]:
    return {
        "plan": dict(run.plan),
        "rows": dict(run.rows),
        "steps": run.steps,
        "seconds": run.seconds,
        "peak_bytes": run.peak_bytes,
        "estimated": list(run.estimated) if run.estimated else None,
        "losses": [list(one) for one in run.losses],
        "dev_losses": [list(one) for one in run.dev_losses],
        "versions": dict(run.versions),
    }
