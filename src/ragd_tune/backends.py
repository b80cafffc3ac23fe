"""What a backend declares: cells that it really runs, and whether it can run here."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from ragd_tune.errors import TuneError
from ragd_tune.options import Option
from ragd_tune.plan import BaseModel, Device, ModelFacts, Side

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Dense = NDArray[np.float32]
    """One vector a text: float32, shape (n, dimension)."""


Precision = Literal["fp32", "auto"]
"""What may be computed in: ``auto`` leaves it to the backend."""
Computed = Literal["fp32", "bf16"]
"""What is computed in."""
Net = TypeVar("Net")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TrainCell:
    """One thing that a backend trains."""

    objective: str
    tuning: str
    side: Side
    device: Device

    def __str__(self) -> str:
        side = "" if self.side == "both" else f", {self.side} side"
        return f"{self.objective} by {self.tuning} on {self.device}{side}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ServeCell:
    """One thing that a backend loads and runs; ``format`` is ``base`` for a bare base model.

    Of the side ``query`` is an adapter that queries go through, and documents not: they are
    embedded by the bare base. A backend that does not declare it is never given one.
    """

    format: str
    objective: str
    device: Device
    side: Side = "both"

    def __str__(self) -> str:
        side = "" if self.side == "both" else f", {self.side} side"
        return f"a {self.objective} model in format {self.format} on {self.device}{side}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether a backend can run here: ``reason`` says why not, ``mend`` what gets it.

    ``devices`` are those at hand, best first; ``priority`` is compared between backends that can
    all do a thing (0 to 100, more is better).
    """

    devices: tuple[Device, ...] = ()
    priority: int = 0
    reason: str = ""
    mend: str = ""


def fits_any(base: BaseModel, objective: str) -> str:
    """Say that a backend computes whatever base it is given."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A backend as data: cheap to make, no framework import.

    ``detect`` answers in milliseconds (``find_spec`` and cheap probes) and never raises.
    ``options`` are its own, in its namespace: ``cpu.torchrun`` for the backend ``cpu``. ``spreads``
    names the objectives that it trains in several processes at once (the option ``processes``).
    ``bits`` are the ways in which it can hold a base in few bits (see
    :mod:`ragd_tune.interchange.quantised`): an adapter that was trained on one fits no other.
    ``unfit`` says why it does not compute a base for an objective, and nothing if it does: from
    the base's small files alone, without a framework; it never raises. Another backend is then
    chosen, or the refusal names the one that could.
    """

    name: str
    title: str
    train_cells: frozenset[TrainCell]
    serve_cells: frozenset[ServeCell]
    detect: Callable[[], Availability]
    options: tuple[Option, ...] = field(default=())
    spreads: tuple[str, ...] = ()
    bits: tuple[str, ...] = ()
    unfit: Callable[[BaseModel, str], str] = fits_any


def train_cells(
    objectives: tuple[str, ...],
    tunings: tuple[str, ...],
    devices: tuple[Device, ...],
    sides: tuple[Side, ...] = ("both",),
) -> frozenset[TrainCell]:
    """Return every combination as a cell."""
    return frozenset(
        TrainCell(objective=objective, tuning=tuning, side=side, device=device)
        for objective in objectives
        for tuning in tunings
        for side in sides
        for device in devices
    )


def serve_cells(
    formats: tuple[str, ...],
    objectives: tuple[str, ...],
    devices: tuple[Device, ...],
    sides: tuple[Side, ...] = ("both",),
) -> frozenset[ServeCell]:
    """Return every combination as a cell."""
    return frozenset(
        ServeCell(format=format_, objective=objective, device=device, side=side)
        for format_ in formats
        for objective in objectives
        for device in devices
        for side in sides
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiVector:
    """Many vectors a text: text ``i`` has rows ``offsets[i]:offsets[i + 1]`` of ``values``.

    ``values`` is float32, shape (total tokens, dimension); ``offsets`` int64, shape (n + 1,).
    """

    values: NDArray[np.float32]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """What to load: a base, and an adapter on it or none.

    ``format`` is ``base`` when ``adapter`` is None; ``facts`` are the manifest's, and None for a
    bare base. ``dimension`` truncates vectors (and normalises them again). ``precision`` ``auto``
    lets the backend compute in bfloat16 where that is faster: vectors are float32 all the same, and
    their cosine with the exact ones is above 0.999. A backend that has nothing faster ignores it;
    one that has tells it by ``precision`` on the model that it loads (see :class:`Handle`).
    ``side`` ``query`` loads an adapter for queries alone: a text of the role ``document`` is
    embedded as the bare base does it, at the base's own length. ``max_length`` bounds both.
    """

    objective: str
    format: str
    base: BaseModel
    device: Device
    adapter: Path | None = None
    facts: ModelFacts | None = None
    max_length: int | None = None
    dimension: int | None = None
    precision: Precision = "fp32"
    side: Side = "both"


class Model(Protocol):
    """A loaded model, as its backend returns it. The core calls nothing on it but these."""

    @property
    def facts(self) -> ModelFacts:
        """What was loaded."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


class Handle(Generic[Net]):
    """A :class:`Model` for backends to build on: what was loaded, until it is closed.

    ``precision`` is what it computes in; a proof tells it, and compares only what is alike.
    """

    precision: Computed = "fp32"

    def __init__(self, model: Net, facts: ModelFacts) -> None:
        self._model: Net | None = model
        self._facts = facts

    @property
    def facts(self) -> ModelFacts:
        """What was loaded."""
        return self._facts

    @property
    def model(self) -> Net:
        """The loaded model.

        :raises TuneError: it was closed.
        """
        if self._model is None:
            raise TuneError("this model was closed")
        return self._model

    def close(self) -> None:
        """Give the memory back."""
        self._model = None
        gc.collect()
        self._freed()

    def _freed(self) -> None:
        """Have the framework give back what it keeps for later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest:
    """One query and the passages to score for it."""

    query: str
    passages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a generation: new tokens, temperature (0 is greedy), and texts that end it.

    ``system`` is the text of the chat template's system turn; where it is empty, the model's own
    is taken (``facts.prompts["system"]``). ``keep`` names parts of each prompt, by its place, that
    are cut last where a prompt is too long; it is empty where none are named.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    system: str = ""
    keep: tuple[tuple[str, ...], ...] = ()
