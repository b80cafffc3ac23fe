"""A running host changes its model between operations, and its index with it.

No query ever meets vectors of another space: an operation holds one pair of embedder and index
from its start to its end, and a pair that does not fit is refused.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ragd_tune.errors import StoreError
from ragd_tune.serve.embedder import Embedder

Handle = TypeVar("Handle")
_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(Generic[Handle]):
    """An index, opaque to us, and the id of the space that its vectors lie in."""

    handle: Handle
    space: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Generic[Handle]):
    """What one operation works with."""

    embedder: Embedder
    index: Index[Handle]


@dataclass(slots=True, eq=False)
class _Turn(Generic[Handle]):
    """A pair, and how many operations are using it."""

    pair: Pair[Handle]
    users: int = field(default=0)


class Serving(Generic[Handle]):
    """The pair that serves now. Operations take it by :meth:`use`; swaps do not wait for them.

    An operation that began before a swap ends on the pair it began with; the embedder of that
    pair is closed after the last such operation.

    :raises StoreError: the index does not lie in the embedder's space.
    """

    def __init__(self, embedder: Embedder, index: Index[Handle]) -> None:
        _must_fit(embedder, index)
        self._lock = threading.Lock()
        self._now: _Turn[Handle] = _Turn(Pair(embedder=embedder, index=index))
        self._past: list[_Turn[Handle]] = []

    @property
    def pair(self) -> Pair[Handle]:
        """The pair that serves now; hold it by :meth:`use` to work with it."""
        return self._now.pair

    @contextlib.contextmanager
    def use(self) -> Iterator[Pair[Handle]]:
        """Hold the pair that serves now for one operation."""
        with self._lock:
            turn = self._now
            turn.users += 1
        try:
            yield turn.pair
        finally:
            with self._lock:
                turn.users -= 1
                idle = self._idle()
            _close(idle)

    def swap(self, embedder: Embedder, index: Index[Handle]) -> None:
        """Let ``embedder`` serve, together with an index of its space.

        :raises StoreError: the index lies in another space; nothing has changed.
        """
        _must_fit(embedder, index)
        self._put(lambda _: Pair(embedder=embedder, index=index))

    def swap_queries(self, embedder: Embedder) -> None:
        """Let ``embedder`` serve on the index that is there: its documents lie in one space.

        :raises StoreError: the embedder's documents would lie in another space; nothing has
            changed.
        """
        space = embedder.space  # may load the model: not under the lock

        def on(now: Pair[Handle]) -> Pair[Handle]:
            _must_be(space, embedder, now.index)
            return Pair(embedder=embedder, index=now.index)

        self._put(on)

    def close(self) -> None:
        """Close the embedder that serves, after the operations that use it."""
        self._now.pair.embedder.close()

    def _put(self, make: Callable[[Pair[Handle]], Pair[Handle]]) -> None:
        with self._lock:
            made = make(self._now.pair)
            self._past.append(self._now)
            self._now = _Turn(made)
            idle = self._idle()
        _close(idle)

    def _idle(self) -> list[Embedder]:
        """Drop past pairs that nobody uses; return embedders that no pair holds any more."""
        over = [turn for turn in self._past if not turn.users]
        self._past = [turn for turn in self._past if turn.users]
        held = {id(turn.pair.embedder) for turn in (self._now, *self._past)}
        gone = {id(turn.pair.embedder): turn.pair.embedder for turn in over}
        return [embedder for key, embedder in gone.items() if key not in held]


def _close(embedders: list[Embedder]) -> None:
    for embedder in embedders:
        embedder.close()


def _must_fit(embedder: Embedder, index: Index[Handle]) -> None:
    _must_be(embedder.space, embedder, index)


def _must_be(space: str, embedder: Embedder, index: Index[Handle]) -> None:
    if space != index.space:
        raise StoreError(
            f"{embedder.model_name} ({embedder.id[:_SHORT]}) embeds into the space "
            f"{space[:_SHORT]}, the index holds vectors of {index.space[:_SHORT]}",
            mend="embed the documents again with this model, and swap both together",
        )
