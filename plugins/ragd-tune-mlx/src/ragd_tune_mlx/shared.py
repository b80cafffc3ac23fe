"""Bases that several loaded models compute with, and the handles that keep them alive.

Nothing writes to an array of MLX, so all models on a base share its arrays: an adapter is put on
and taken off without a copy, and what is left is the base exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

import mlx.core as mx

from ragd_tune.backends import Handle, LoadRequest, Net
from ragd_tune.plan import ModelFacts

Held = TypeVar("Held")


class Base(Generic[Held]):
    """What a base's files hold; nothing writes to it."""

    def __init__(self, held: Held) -> None:
        self.held = held


class Bases(Generic[Held]):
    """The bases that some open handle uses, by fingerprint, place, device and whatever else."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[str, ...], Base[Held]] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, request: LoadRequest, make: Callable[[], Held], *more: str) -> Base[Held]:
        """Return the base of ``request``, made if nobody uses it yet."""
        key = (request.base.fingerprint, str(request.base.path), request.device, *more)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Base(make())
        return known


class SharedHandle(Handle[Net], Generic[Held, Net]):
    """A loaded model on a base; the base stays while another handle uses it."""

    def __init__(self, base: Base[Held], model: Net, facts: ModelFacts) -> None:
        super().__init__(model, facts)
        self._base: Base[Held] | None = base

    @property
    def base(self) -> Held:
        """What the base's files hold.

        :raises TuneError: it was closed.
        """
        assert self.model is not None
        assert self._base is not None
        return self._base.held

    def close(self) -> None:
        """Give the memory back."""
        self._base = None
        super().close()

    def _freed(self) -> None:
        mx.clear_cache()
