"""What a kind of model is: rows for an objective, and a proof. It knows no framework."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from ragd_tune.errors import UsageError
from ragd_tune.objectives import Rows
from ragd_tune.options import Option, Value
from ragd_tune.plan import Device, ModelFacts, Role, Side

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.backends import Limits, MultiVector, RerankRequest
    from ragd_tune.data import DataSet
    from ragd_tune.evaluate import Report

Slot = Literal["embedder", "reranker", "generator"]
Tier = Literal["minimal", "standard", "high", "extreme"]
"""ragd's tiers of hardware, the smallest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a kind's defaults may depend on. ``cores`` are logical, ``memory`` is in bytes.

    ``tier`` is what ragd calls this machine, by its own choice or by the memory. ``generated`` says
    that every training question was made from the documents, and by no language model.
    """

    tuning: str
    side: Side
    rows: int
    device: Device
    cores: int
    memory: int
    tier: Tier = "standard"
    generated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Options that were measured together: what ``--budget`` chooses from.

    ``options`` go over the kind's defaults; ``epochs`` is one of them. ``at_most`` bounds numbers
    that a kind's defaults raise with the rows: it was measured with these. ``score`` is the mean of
    the kind's gate metric over dev splits; recipes rank each other where ``objective``, ``side``
    and one of ``tunings`` are those of the training, and where it has so many rows: from
    ``rows_from`` on, and below ``rows_below``.
    """

    options: Mapping[str, Value]
    score: float
    objective: str
    tunings: tuple[str, ...]
    side: Side = "both"
    at_most: Mapping[str, float] = field(default_factory=dict)
    rows_from: int = 0
    rows_below: float = math.inf

    @property
    def epochs(self) -> float:
        """Passes over the training rows."""
        return float(str(self.options["epochs"]))


@runtime_checkable
class HasRecipes(Protocol):
    """A kind whose recipes were measured; one without trains its defaults within a budget."""

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What was measured, in any order."""
        ...


class Served(Protocol):
    """A loaded model as the core hands it to a proof: calls go through the hooks."""

    @property
    def facts(self) -> ModelFacts:
        """What was loaded."""
        ...

    def embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32] | MultiVector:
        """Return vectors of ``texts``: float32 (n, dimension), or many a text."""
        ...

    def rerank(self, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
        """Return one float32 array of scores a request, in the order of its passages."""
        ...

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Return one completion a prompt."""
        ...


def _none_at_hand(name: str) -> Served:
    raise UsageError(f"there is no embedder {name} at hand for this proof")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Everything that a proof may look at.

    ``open_incumbent`` and ``open_candidate`` load the two sides, so that a proof can hold one in
    memory at a time (call each once, close by leaving the ``with`` block of the caller).
    ``open_embedder`` opens any embedder, by an adapter's name or a base's: a first stage for
    rerankers. ``options`` are the kind's own of the group ``proof``. ``exclude`` are leaked
    queries, ``looks`` counts how often this test set was looked at, this time included.
    ``progress`` takes a description, and how much of it is done (0 to 1).
    """

    data: DataSet
    split: str
    open_incumbent: Callable[[], Served]
    open_candidate: Callable[[], Served]
    open_embedder: Callable[[str], Served] = field(default=_none_at_hand)
    options: Mapping[str, Value] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()
    dimensions: tuple[int, ...] = ()
    looks: int = 1
    seed: int = 0
    progress: Callable[[str, float], None] = field(default=lambda text, done: None)


@runtime_checkable
class ModelKind(Protocol):
    """A kind of model. ``options`` are its own; ``gate_metric`` and ``incumbent`` name the proof.

    ``tunings`` and ``objectives`` are those that make sense, the default first; of the tunings, it
    is the first that a backend here trains. Options of the group ``proof`` decide how an adapter is
    judged; they reach :meth:`prove` and no training.
    """

    @property
    def name(self) -> str:
        """As the user types it: ``bi-encoder``."""
        ...

    @property
    def title(self) -> str:
        """One line for lists."""
        ...

    @property
    def objectives(self) -> tuple[str, ...]:
        """Ids of the objectives that it makes rows for, the default first."""
        ...

    @property
    def serves(self) -> Slot:
        """What an adapter of this kind replaces in the host."""
        ...

    @property
    def tunings(self) -> tuple[str, ...]:
        """Tunings that make sense, the default first."""
        ...

    @property
    def default_base(self) -> str:
        """Base model when the user names none."""
        ...

    @property
    def options(self) -> tuple[Option, ...]:
        """Options beyond those of run, tuning and objective: for its rows, and for its proof."""
        ...

    @property
    def gate_metric(self) -> str:
        """The metric that decides: ``ndcg@10``."""
        ...

    @property
    def incumbent(self) -> str:
        """What it has to beat, in words."""
        ...

    def defaults(self, profile: Profile) -> Mapping[str, Value]:
        """Return defaults of options that depend on ``profile``."""
        ...

    def rows(self, data: DataSet, objective: str, options: Mapping[str, Value]) -> Rows:
        """Return the rows of ``objective`` to train on.

        :raises DataError: when the data has none of what this kind learns from.
        """
        ...

    def prove(self, trial: Trial) -> Report:
        """Compare candidate and incumbent on ``trial.split``."""
        ...
