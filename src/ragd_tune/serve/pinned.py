"""A model that is loaded at first use, closed once, and stays the one that it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ragd_tune.errors import UsageError
from ragd_tune.plan import ModelFacts
from ragd_tune.serve.served import ServedModel


class Pinned:
    """One model that never changes under this object. Calls may come from several threads.

    :param opener: loads the model; called once, at first use.
    :param id: content id of the adapter, or a bare base's fingerprint.
    :param name: what users call it.
    :param facts: the model's facts where they are known before it is loaded.
    """

    slot = "model"
    """What it is, in messages."""

    def __init__(
        self,
        opener: Callable[[], ServedModel],
        *,
        id: str,  # noqa: A002 - the store's word
        name: str,
        facts: ModelFacts | None,
    ) -> None:
        self._opener = opener
        self._id = id
        self._name = name
        self._known = facts
        self._served: ServedModel | None = None
        self._closed = False
        self._lock = threading.RLock()

    @property
    def id(self) -> str:
        """Content id of the adapter, or the fingerprint of a bare base; never changes."""
        return self._id

    @property
    def model_name(self) -> str:
        """What users call the model."""
        return self._name

    @property
    def facts(self) -> ModelFacts:
        """What the model is; loads it if that is not known yet."""
        return self._known if self._known is not None else self.load().facts

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._served is not None

    def load(self) -> ServedModel:
        """Load the model unless it is; return it.

        :raises UsageError: it was closed.
        """
        with self._lock:
            if self._closed:
                raise UsageError(f"the {self.slot} {self._name} is closed", mend="load it again")
            if self._served is None:
                self._served = self._opener()
                self._known = self._served.facts
            return self._served

    def close(self) -> None:
        """Give the memory back, after the call that is running; it cannot be used again."""
        with self._lock:
            served, self._served, self._closed = self._served, None, True
        if served is not None:
            served.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
