"""A base model whose vectors are kept: every adapter's proof asks the same base the same texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ragd_tune import __version__
from ragd_tune.backends import Limits, MultiVector, RerankRequest
from ragd_tune.plan import ModelFacts, Role, canonical
from ragd_tune.serve.served import ServedModel
from ragd_tune.store.vectors import VectorCache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Remembered:
    """Answers :meth:`embed` from a cache where it can; loads the model when it has to.

    Implements :class:`ragd_tune.kinds.Served`. Only one vector a text is kept; whatever else is
    asked goes to the model.

    :param opener: loads the model; called once, at the first question that the cache cannot answer.
    :param cache: where vectors are kept.
    :param identity: JSON-shaped; what decides the vectors beside the texts: the base's fingerprint,
        and the backend and device that embed, whose roundings differ.
    """

    def __init__(
        self,
        opener: Callable[[], ServedModel],
        cache: VectorCache,
        identity: Mapping[str, object],
    ) -> None:
        self._opener = opener
        self._cache = cache
        self._identity = canonical({**identity, "version": __version__})
        self._model: ServedModel | None = None

    @property
    def facts(self) -> ModelFacts:
        """What is loaded; loads it."""
        return self._open().facts

    def embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32] | MultiVector:
        """Return vectors of ``texts``, kept ones where these very texts were embedded before."""
        key = self._key(texts, role)
        known = self._cache.get(key)
        if known is not None and len(known) == len(texts):
            return known
        made = self._open().embed(texts, role)
        if not isinstance(made, MultiVector):
            self._cache.put(key, made)
        return made

    def rerank(self, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
        """Ask the model."""
        return self._open().rerank(requests)

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Ask the model."""
        return self._open().generate(prompts, limits)

    def _open(self) -> ServedModel:
        if self._model is None:
            self._model = self._opener()
        return self._model

    def _key(self, texts: Sequence[str], role: Role) -> str:
        """Return the sha256 of model, role and texts; lengths keep texts apart."""
        sha = hashlib.sha256(b"ragd-tune vectors 1\n" + self._identity + role.encode())
        for text in texts:
            raw = text.encode("utf-8", "surrogatepass")
            sha.update(len(raw).to_bytes(8, "little") + raw)
        return sha.hexdigest()
