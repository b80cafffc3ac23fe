"""What flows between the core and a backend: frozen, keyword-only, JSON-shaped values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from ragd_tune.options import Value

Side = Literal["both", "query"]
Role = Literal["query", "document"]
Device = Literal["cpu", "cuda", "mps"]

SCHEMA = 1

DEADLINE = "deadline"
"""Option that the core adds for a worker: when a budget is over, in seconds since 1970."""

UNDECIDING = ("checkpoint_minutes", "checkpoint_steps", DEADLINE)
"""Options that change when things are saved, or where a clock stands, and not what is trained: no
part of a plan's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """A base model on this machine's disk.

    ``name`` is how the user called it, ``source`` where it was found (``path``, ``store``,
    ``cache``, ``package``, ``hub``), ``fingerprint`` the sha256 that identifies its weights,
    tokenizer, pooling and prompts, ``revision`` the hub's commit where one is known.
    """

    name: str
    path: Path
    fingerprint: str
    source: str = "path"
    revision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """Everything that decides a run; the worker gets no more than this and the rows.

    ``rows_fingerprint`` is that of the rows as the kind made them from the data set
    ``data_fingerprint``; ``out`` and ``base.path`` are places and do not enter :attr:`id`.
    """

    kind: str
    objective: str
    tuning: str
    side: Side
    backend: str
    device: Device
    base: BaseModel
    data_fingerprint: str
    rows_fingerprint: str
    out: Path
    options: Mapping[str, Value] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Sha256 (hex) of the decisions: equal plans have equal ids on any machine."""
        decisions = self.to_json()
        del decisions["out"]
        base = decisions["base"]
        assert isinstance(base, dict)
        decisions["base"] = {"fingerprint": base["fingerprint"]}
        options = decisions["options"]
        assert isinstance(options, dict)
        decisions["options"] = {n: v for n, v in options.items() if n not in UNDECIDING}
        return hashlib.sha256(canonical(decisions)).hexdigest()

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.integer("seed")

    def integer(self, name: str) -> int:
        """Return the option ``name``, which is a whole number."""
        value = self.options[name]
        assert isinstance(value, int), name
        return value

    def number(self, name: str) -> float:
        """Return the option ``name``, which is a number."""
        value = self.options[name]
        assert isinstance(value, (int, float)), name
        return float(value)

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy; :meth:`from_json` reads it back."""
        raw = asdict(self)
        raw["schema"] = SCHEMA
        raw["out"] = str(self.out)
        raw["base"]["path"] = str(self.base.path)
        raw["options"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in sorted(self.options.items())
        }
        return raw

    @classmethod
    def from_json(cls, raw: Mapping[str, object]) -> TrainPlan:
        """Read what :meth:`to_json` wrote."""
        fields = {name: value for name, value in raw.items() if name != "schema"}
        base = dict(fields.pop("base"))  # type: ignore[call-overload]
        base["path"] = Path(base["path"])
        options = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in dict(fields.pop("options")).items()  # type: ignore[call-overload]
        }
        out = Path(str(fields.pop("out")))
        return cls(base=BaseModel(**base), options=options, out=out, **fields)  # type: ignore[arg-type]


def canonical(value: object) -> bytes:
    """Return ``value`` as canonical JSON: sorted keys, no white space, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will cost on this machine.

    ``seconds`` is wall-clock time of the training itself, ``peak_bytes`` the worker's peak
    resident memory, ``steps`` how many steps that is for, ``measured_steps`` how many real steps
    were timed, ``note`` what a user should know ("a 7B model on 2 cores takes days").
    """

    seconds: float
    steps: int
    peak_bytes: int
    measured_steps: int
    note: str = ""


EventType = Literal["load", "estimate", "start", "step", "dev", "checkpoint", "log", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened in a run; observers get it through ``ragd_tune_event``.

    ``step`` counts from 1 to ``steps``; ``loss`` is the training loss of a ``step`` and the
    held-out loss of a ``dev`` event; ``rows_per_second`` and ``seconds_left`` are measured;
    ``estimate`` comes with the event of that type.
    """

    type: EventType
    run: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    rows_per_second: float | None = None
    seconds: float = 0.0
    seconds_left: float | None = None
    message: str = ""
    estimate: Estimate | None = None

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy; :meth:`from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, object]) -> Event:
        """Read what :meth:`to_json` wrote."""
        estimate = raw.get("estimate")
        fields = {name: value for name, value in raw.items() if name != "estimate"}
        made = Estimate(**estimate) if isinstance(estimate, dict) else None
        return cls(estimate=made, **fields)  # type: ignore[arg-type]


class Stop(Exception):
    """Raised by ``emit`` when the run must end: save a checkpoint, then let it pass."""


Emit = Callable[[Event], None]
"""Called by a backend once a step, and whenever it has something to say; may raise `Stop`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model is, whoever loads it; the manifest carries it.

    ``dimension`` counts floats of one vector, ``dimensions`` the leading ones that were trained
    (Matryoshka, descending), ``max_length`` tokens, ``pooling`` is ``mean``, ``cls``, ``max``,
    ``lasttoken`` …, ``prompts`` what is put before a text by role. What a model does not have is
    0, empty or False. ``settings`` is what else its kind needs to know of it, as the tokens of a
    query in ColBERT.
    """

    dimension: int = 0
    max_length: int
    pooling: str = ""
    normalise: bool = True
    prompts: Mapping[str, str] = field(default_factory=dict)
    dimensions: tuple[int, ...] = ()
    settings: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training made: weights under ``plan.out``, and facts about them.

    ``format`` says what lies there (``peft``, ``full``, ``map``); ``steps`` is what was really
    taken, and ``schedule_steps`` how many the learning rate's schedule was made for (more, where
    a bound of time cut the run short; 0 for as many): both together replay a run. ``seconds`` and
    ``peak_bytes`` are comparable with the estimate's; ``losses`` holds (step, training loss) at
    most 1,000 times. ``versions`` names the libraries that took part.
    """

    format: str
    steps: int
    seconds: float
    peak_bytes: int
    losses: tuple[tuple[int, float], ...] = ()
    dev_losses: tuple[tuple[int, float], ...] = ()
    estimate: Estimate | None = None
    resumed_from: int = 0
    rows_seen: int = 0
    schedule_steps: int = 0
    facts: ModelFacts | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy; :meth:`from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, object]) -> TrainResult:
        """Read what :meth:`to_json` wrote."""
        fields = dict(raw)
        estimate = fields.pop("estimate", None)
        for name in ("losses", "dev_losses"):
            fields[name] = tuple((int(s), float(v)) for s, v in fields.get(name, ()))  # type: ignore[attr-defined]
        facts = fields.pop("facts", None)
        if isinstance(facts, dict):
            facts = ModelFacts(**{**facts, "dimensions": tuple(facts["dimensions"])})
        made = Estimate(**estimate) if isinstance(estimate, dict) else None
        return cls(estimate=made, facts=facts, **fields)  # type: ignore[arg-type]
