"""A LoRA adapter as what it computes: for each layer two matrices, a scale, maybe a magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragd_tune.errors import TuneError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What an adapter adds to one layer with weight W, float32 (outputs, inputs).

    The layer becomes ``W + scale · b @ a``; with a ``magnitude`` m, each row of that is brought to
    the length m (DoRA, Liu et al. 2024, arXiv 2402.09353). ``a`` has shape (rank, inputs), ``b``
    (outputs, rank), ``magnitude`` (outputs,). An ``embedding``'s W is (dimension, vocabulary) here.
    """

    a: Matrix
    b: Matrix
    scale: float
    magnitude: Matrix | None = None
    embedding: bool = False

    @property
    def rank(self) -> int:
        """The rank."""
        return int(self.a.shape[0])


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A whole adapter: ``parts`` by the full name of their layer in the base.

    ``base_name`` is how the base is called where that means something on another machine, and
    ``task`` PEFT's name for what it was trained for. ``quantised`` describes the base's numbers
    where they were not the ones in its files: see :mod:`ragd_tune.interchange.quantised`. ``whole``
    holds layers that were trained whole beside the matrices, as a reranker's head: the parameters
    of each by their name in it. Only a backend that has those layers asks for them.
    """

    parts: Mapping[str, Part]
    dropout: float = 0.0
    base_name: str = ""
    task: str | None = None
    quantised: Mapping[str, object] | None = None
    whole: Mapping[str, Mapping[str, Matrix]] = field(default_factory=dict)

    @property
    def dora(self) -> bool:
        """Whether it has magnitudes."""
        return any(part.magnitude is not None for part in self.parts.values())


def check_shapes(adapter: Lora, layers: Mapping[str, tuple[int, int]], *, where: str) -> None:
    """Refuse an adapter that was made for other layers.

    :param layers: (outputs, inputs) of every layer of the base that LoRA can change, by name.
    :raises TuneError: names the layer, and both shapes.
    """
    for name, part in sorted(adapter.parts.items()):
        made = (int(part.b.shape[0]), int(part.a.shape[1]))
        found = layers.get(name)
        if found is None:
            raise TuneError(
                f"{where}: does not fit this base ({name} is not in it)", mend="look at its base"
            )
        if found != made:
            raise TuneError(
                f"{where}: does not fit this base ({name} has {found[0]}×{found[1]} weights here, "
                f"and {made[0]}×{made[1]} there)",
                mend="look at its base",
            )
