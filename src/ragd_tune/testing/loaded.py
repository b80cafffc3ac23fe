"""A loaded model as the suite asks it: through the hooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragd_tune.backends import Limits, Model, MultiVector, RerankRequest
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A loaded model with the hooks that belong to it."""

    registry: Registry
    backend: str
    model: Model

    @property
    def facts(self) -> ModelFacts:
        """What was loaded."""
        return self.model.facts

    def embed(self, texts: Sequence[str], role: Role = "document") -> NDArray[np.float32]:
        """Return vectors of ``texts``, float32 (n, dimension)."""
        found: NDArray[np.float32] = self._call("embed", texts=texts, role=role)
        return found

    def embed_tokens(self, texts: Sequence[str], role: Role = "document") -> MultiVector:
        """Return many vectors a text."""
        found: MultiVector = self._call("embed", texts=texts, role=role)
        return found

    def rerank(self, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
        """Return scores by request, float32 (passages,)."""
        found: list[NDArray[np.float32]] = self._call("rerank", requests=requests)
        return found

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Return one completion a prompt."""
        found: list[str] = self._call("generate", prompts=prompts, limits=limits)
        return found

    def _call(self, hook: str, **arguments: Any) -> Any:
        name = f"ragd_tune_{hook}"
        return self.registry.call(self.backend, name, model=self.model, **arguments)
