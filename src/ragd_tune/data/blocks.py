"""Embed many texts block by block, here or on a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.data.generate.roundtrip import Embed

BLOCK = 1024


class Spread(ABC):
    """A function that embeds, and can also take many blocks at a time."""

    @abstractmethod
    def __call__(self, texts: Sequence[str], role: str) -> NDArray[np.float32]:
        """Return unit vectors of ``texts`` in their order: float32 (n, dimension)."""

    @abstractmethod
    def blocks(self, texts: Sequence[str], role: str, block: int) -> Iterator[NDArray[np.float32]]:
        """Yield unit vectors of ``texts`` in their order, some at a time: float32 (n, dim)."""


def embedded(
    embed: Embed, texts: Sequence[str], role: str, block: int = BLOCK
) -> Iterator[NDArray[np.float32]]:
    """Yield unit vectors of ``texts`` in their order, some at a time: float32 (n, dimension).

    Each text is embedded together with those of its block of ``block`` texts, wherever that is
    done, so the vectors are the same.
    """
    if isinstance(embed, Spread):
        yield from embed.blocks(texts, role, block)
        return
    for start in range(0, len(texts), block):
        yield embed(texts[start : start + block], role)
