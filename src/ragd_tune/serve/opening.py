"""An adapter that was found, as the object that its slot asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ragd_tune.backends import Precision
from ragd_tune.errors import UsageError
from ragd_tune.kinds import Slot
from ragd_tune.plan import BaseModel, Device
from ragd_tune.registry import Registry
from ragd_tune.serve.embedder import Embedder
from ragd_tune.serve.found import Found, check_again, facts_of, space_of
from ragd_tune.serve.generator import Generator
from ragd_tune.serve.reranker import Reranker
from ragd_tune.serve.served import ServedModel, cut, open_model

Loaded = Embedder | Reranker | Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """All that it takes to open an adapter, now or later."""

    registry: Registry
    found: Found
    base: BaseModel
    device: Device | None
    backend: str | None
    dimension: int | None
    precision: Precision
    lazy: bool

    def __call__(self) -> ServedModel:
        """Load it."""
        if self.lazy:  # what was checked then may have been replaced since
            check_again(self.found, self.base)
        manifest = self.found.manifest
        return open_model(
            self.registry,
            objective=manifest.objective,
            format=manifest.format,
            base=self.base,
            adapter=self.found.path,
            facts=facts_of(manifest),
            device=self.device,
            backend=self.backend,
            dimension=self.dimension,
            precision=self.precision,
            side=manifest.side,
        )


def opened(opening: Opening, serves: Slot) -> Loaded:
    """Return what ``serves`` says, not loaded yet.

    :raises UsageError: a dimension is asked of what gives no vectors.
    """
    return _MAKERS[serves](opening)


def _embedder(opening: Opening) -> Embedder:
    manifest, dimension = opening.found.manifest, opening.dimension
    return Embedder(
        opening,
        id=manifest.content_id,
        name=opening.found.name,
        facts=cut(facts_of(manifest), dimension),
        space=lambda _: space_of(manifest, dimension),
        one_encoder=manifest.side == "both",
    )


def _reranker(opening: Opening) -> Reranker:
    _no_dimension(opening, "scores")
    manifest = opening.found.manifest
    facts = facts_of(manifest)
    return Reranker(opening, id=manifest.content_id, name=opening.found.name, facts=facts)


def _generator(opening: Opening) -> Generator:
    _no_dimension(opening, "answers")
    manifest = opening.found.manifest
    facts = facts_of(manifest)
    return Generator(opening, id=manifest.content_id, name=opening.found.name, facts=facts)


def _no_dimension(opening: Opening, gives: str) -> None:
    if opening.dimension is not None:
        raise UsageError(
            f"{opening.found.name} gives {gives}, which have no dimension",
            mend="leave dimension out",
        )


_MAKERS: dict[Slot, Callable[[Opening], Loaded]] = {
    "embedder": _embedder,
    "reranker": _reranker,
    "generator": _generator,
}
