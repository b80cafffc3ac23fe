"""What the suite asks of an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Value
from ragd_tune.plan import ModelFacts, Side, TrainPlan

if TYPE_CHECKING:
    from ragd_tune.testing.loaded import Loaded

Outputs = Mapping[str, Sequence[NDArray[np.float32]]]
"""What a loaded model answers about texts, by the way in which it was asked.

Each way has one array a text, of any shape, in the order of the texts.
"""


class Checks(ABC):
    """An objective as the suite of a backend sees it: data that stands still, and pure functions.

    Everything about a loaded model goes through the hooks, by
    :class:`ragd_tune.testing.loaded.Loaded`.
    """

    objective: ClassVar[str]
    """Its id."""

    kind: ClassVar[str] = "bi-encoder"
    """A kind that has this objective: plans name it."""

    settings: ClassVar[Mapping[str, Value]] = {}
    """Options of every run of the suite that differ from the suite's own."""

    apart: ClassVar[float] = 1e-3
    """Answers to different texts, and those of a base and its adapter, differ by more than this."""

    silent: ClassVar[frozenset[str]] = frozenset()
    """Options of the objective that must leave the weights alone, or the rows of the suite."""

    vectors: ClassVar[bool] = False
    """Whether a text has one vector: it can be cut to a smaller dimension then."""

    # -- rows ----------------------------------------------------------------------------------

    @abstractmethod
    def rows(self) -> Rows:
        """Return rows to train on: more than one batch of four, and some for the held-out loss."""

    @abstractmethod
    def odd_rows(self, text: str) -> list[Row]:
        """Return a few rows that have ``text``, which may be empty or over-long, in every field."""

    @abstractmethod
    def single_rows(self) -> Mapping[str, Row]:
        """Return rows that may be the only one of a run, by what is said of them in a report."""

    @abstractmethod
    def reworded(self, row: Row) -> Row:
        """Return ``row`` with other texts, and the same keys: the batches stay the same."""

    # -- training ------------------------------------------------------------------------------

    @abstractmethod
    def changes(self, facts: ModelFacts) -> Mapping[str, Value]:
        """Return a value for each of the objective's options that must change the weights.

        Options of the run that need another value than the suite's may be here as well.
        """

    def idle(self, side: Side) -> frozenset[str]:
        """Return options of the objective that mean nothing to a training of ``side``."""
        return frozenset()

    @abstractmethod
    def check_facts(self, facts: ModelFacts, plan: TrainPlan) -> None:
        """Assert that ``facts`` say what has to be known of a model of this objective."""

    @abstractmethod
    def loss(self, model: Loaded, rows: Sequence[Row], plan: TrainPlan) -> float | None:
        """Return the loss of ``rows``, worked out from what ``model`` answers.

        None where the hooks do not show it.
        """

    # -- serving -------------------------------------------------------------------------------

    @abstractmethod
    def outputs(self, model: Loaded, texts: Sequence[str]) -> Outputs:
        """Return what ``model`` answers about ``texts``."""

    @abstractmethod
    def check_outputs(self, outputs: Outputs, texts: Sequence[str], facts: ModelFacts) -> None:
        """Assert that what :meth:`outputs` returned has the shape that the hooks promise."""

    @abstractmethod
    def check_nothing(self, model: Loaded) -> None:
        """Assert what the hooks promise for no texts at all."""

    def too_long(self, length: int) -> tuple[str, str]:
        """Return two texts that differ only in what is cut away at ``length`` tokens."""
        start = "garden forest " * length
        return f"{start}anchor", f"{start}letter"

    def frozen(self) -> frozenset[str]:
        """Return the ways of asking whose answers an adapter of the side ``query`` leaves alone."""
        return frozenset()


def differ(one: Outputs, two: Outputs, *, by: float) -> dict[str, bool]:
    """Say for each way of asking whether any answer differs by more than ``by``."""
    return {
        way: any(
            a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=by)
            for a, b in zip(one[way], two[way], strict=True)
        )
        for way in one
    }


def assert_close(one: Outputs, two: Outputs, *, tolerance: float) -> None:
    """Assert that the same answers were given, text by text."""
    assert one.keys() == two.keys()
    for way, answers in one.items():
        assert len(answers) == len(two[way]), way
        for number, (a, b) in enumerate(zip(answers, two[way], strict=True)):
            np.testing.assert_allclose(
                a, b, rtol=0, atol=tolerance, err_msg=f"{way}, text {number}"
            )


def picked(outputs: Outputs, indices: Sequence[int]) -> Outputs:
    """Return the answers to some of the texts."""
    return {way: [answers[i] for i in indices] for way, answers in outputs.items()}


def is_finite(outputs: Outputs) -> bool:
    """Say whether every number of every answer is finite."""
    return all(bool(np.isfinite(one).all()) for answers in outputs.values() for one in answers)
